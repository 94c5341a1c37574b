#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# PyKCS11: login without a PIN, search, sign, decrypt, digest, random, fork.
. "$VS_SRCDIR/tests/interop/lib.sh"
need openssl
PY=/usr/bin/python3
$PY -c 'import PyKCS11' 2>/dev/null || { PATH=/nonexistent need python3-pykcs11; }
lab_up
openssl rand 200 >"$T/data"
openssl x509 -in "$D/certs/rsa2048.pem" -noout -pubkey >"$T/rsa.pub"
openssl x509 -in "$D/certs/ec256.pem" -noout -pubkey >"$T/ec.pub"
head -c 40 "$T/data" >"$T/short"
openssl pkeyutl -encrypt -pubin -inkey "$T/rsa.pub" -in "$T/short" -out "$T/enc" -pkeyopt rsa_padding_mode:oaep \
	-pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
cat >"$T/app.py" <<'EOT'
import hashlib, os, sys
from PyKCS11 import *
module, t = sys.argv[1:3]
lib = PyKCS11Lib()
lib.load(module)
slot = [s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == "lab-vault"][0]
session = lib.openSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION)
session.login("")
data = open(t + "/data", "rb").read()

def key(label, cls=CKO_PRIVATE_KEY):
    return session.findObjects([(CKA_CLASS, cls), (CKA_LABEL, label)])[0]

rsa, ec = key("rsa2048"), key("ec256")
assert session.getAttributeValue(rsa, [CKA_SENSITIVE, CKA_EXTRACTABLE]) == [True, False]
try:
    sig = bytes(session.sign(rsa, data, Mechanism(CKM_SHA256_RSA_PKCS)))
except PyKCS11Error as e:
    print("refused", hex(e.value))
    sys.exit(1)
open(t + "/rsa.sig", "wb").write(sig)
rs = bytes(session.sign(ec, hashlib.sha256(data).digest(), Mechanism(CKM_ECDSA)))
def integer(b):
    b = b.lstrip(b"\0")
    b = b"\0" + b if b[0] & 128 else b
    return bytes([2, len(b)]) + b
body = integer(rs[:32]) + integer(rs[32:])
open(t + "/ec.sig", "wb").write(bytes([0x30, len(body)]) + body)
oaep = RSAOAEPMechanism(CKM_SHA256, CKG_MGF1_SHA256)
assert bytes(session.decrypt(rsa, open(t + "/enc", "rb").read(), oaep)) == open(t + "/short", "rb").read()
assert bytes(session.digest(data, Mechanism(CKM_SHA256))) == hashlib.sha256(data).digest()
assert session.verify(key("rsa2048", CKO_PUBLIC_KEY), data, sig, Mechanism(CKM_SHA256_RSA_PKCS))
assert not session.verify(key("rsa2048", CKO_PUBLIC_KEY), data + b"x", sig, Mechanism(CKM_SHA256_RSA_PKCS))
assert len(set(bytes(session.generateRandom(16)) for _ in range(10))) == 10
for attributes in ([(CKA_CLASS, CKO_DATA), (CKA_TOKEN, True), (CKA_LABEL, "x")],):
    try:
        session.createObject(attributes)
        sys.exit("a token object was made")
    except PyKCS11Error as e:
        assert e.value == CKR_TOKEN_WRITE_PROTECTED, hex(e.value)
sys.stdout.flush()
# A child initialises anew and signs.
pid = os.fork()
if pid == 0:
    try:
        assert lib.lib.C_Initialize() == CKR_OK
        mine = lib.openSession(slot, CKF_SERIAL_SESSION)
        found = mine.findObjects([(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_LABEL, "rsa2048")])[0]
        os._exit(0 if bytes(mine.sign(found, data, Mechanism(CKM_SHA256_RSA_PKCS))) == sig else 3)
    except BaseException as e:
        print("child:", e, flush=True)
        os._exit(3)
assert os.waitpid(pid, 0)[1] == 0
session.logout()
session.closeSession()
print("done")
EOT
succeeds "the application does its work" $PY "$T/app.py" "$P11_MODULE" "$T"
says done
succeeds "openssl verifies RSA" openssl dgst -sha256 -verify "$T/rsa.pub" -signature "$T/rsa.sig" "$T/data"
succeeds "openssl verifies ECDSA" openssl dgst -sha256 -verify "$T/ec.pub" -signature "$T/ec.sig" "$T/data"
tampered pcr 4
refused "blocked after a PCR changed" $PY "$T/app.py" "$P11_MODULE" "$T"
says 'refused 0x200'
tampered undo
succeeds "and works afterwards" $PY "$T/app.py" "$P11_MODULE" "$T"
audit_whole
