#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Plays a profile test case of OASIS (an XML file of calls and answers) against a module.

usage: profiles.py MODULE SLOT PIN CASE.xml [--set OLD=NEW] [--class CLASS]

Each call is made with the case's arguments, each answer compared with the case's: the return value
must be the same, and every other value unless the profiles document lets it vary (section 3.1.1,
"Variable Items"). Differences that it does not name are printed as "differs: CALL ITEM", one a line,
for the caller to judge. Signatures are checked with the public key that was read before. --set puts
another text in the place of a label that the case takes from its own token; --class narrows searches
that name no class. Ends with 1 when a return value is another, or a call is not known."""
import ctypes as c
import glob
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

VARIABLE = {"LibraryDescription", "LibraryVersion", "ManufacturerID", "SlotDescription", "HardwareVersion",
            "FirmwareVersion", "serialNumber", "label", "model", "utcTime", "SlotID", "Object", "Session", "VALUE",
            "PUBLIC_EXPONENT", "UNIQUE_ID"}
UNAVAILABLE = c.c_ulong(-1).value


class Version(c.Structure):
    _fields_ = [("major", c.c_ubyte), ("minor", c.c_ubyte)]


class Info(c.Structure):
    _fields_ = [("CryptokiVersion", Version), ("ManufacturerID", c.c_char * 32), ("Flags", c.c_ulong),
                ("LibraryDescription", c.c_char * 32), ("LibraryVersion", Version)]


class SlotInfo(c.Structure):
    _fields_ = [("SlotDescription", c.c_char * 64), ("ManufacturerID", c.c_char * 32), ("Flags", c.c_ulong),
                ("HardwareVersion", Version), ("FirmwareVersion", Version)]


class TokenInfo(c.Structure):
    _fields_ = [("label", c.c_char * 32), ("ManufacturerID", c.c_char * 32), ("model", c.c_char * 16),
                ("serialNumber", c.c_char * 16), ("Flags", c.c_ulong)] + [(n, c.c_ulong) for n in (
                    "MaxSessionCount", "SessionCount", "MaxRwSessionCount", "RwSessionCount", "MaxPinLen",
                    "MinPinLen", "TotalPublicMemory", "FreePublicMemory", "TotalPrivateMemory",
                    "FreePrivateMemory")] + [("HardwareVersion", Version), ("FirmwareVersion", Version),
                                             ("utcTime", c.c_char * 16)]


class MechanismInfo(c.Structure):
    _fields_ = [("MinKeySize", c.c_ulong), ("MaxKeySize", c.c_ulong), ("Flags", c.c_ulong)]


class Mechanism(c.Structure):
    _fields_ = [("type", c.c_ulong), ("parameter", c.c_void_p), ("n", c.c_ulong)]


class Attribute(c.Structure):
    _fields_ = [("type", c.c_ulong), ("value", c.c_void_p), ("n", c.c_ulong)]


def constants():
    """Names and numbers of the standard, from p11-kit's header."""
    found = {}
    base = subprocess.run(["pkg-config", "--variable=includedir", "p11-kit-1"], capture_output=True, text=True,
                          check=True).stdout.strip()
    for path in glob.glob(base + "/p11-kit-1/p11-kit/pkcs11.h") + glob.glob(base + "/p11-kit/pkcs11.h"):
        for name, value in re.findall(r"#define (CK[A-Z]_\w+)\s+\(?\(?(?:unsigned long\) ?)?(1UL << \d+|0x[0-9a-fA-F]+|\d+)U?L?\)?",
                                      open(path, encoding="utf-8").read()):
            one = re.match(r"1UL << (\d+)", value)
            found[name] = 1 << int(one[1]) if one else int(value, 0)
    return found


CK = constants()


def number(prefix, text):
    if re.fullmatch(r"0x[0-9a-fA-F]+|\d+", text):
        return int(text, 0)
    return CK[prefix + text]


def flags(text):
    return sum(number("CKF_", f) for f in re.split(r"[ |]+", text) if f != "0x0")


class Player:
    def __init__(self, module, slot, pin):
        self.lib = c.CDLL(module)
        self.vars = {"Pin": pin, "SlotList.SlotID[0]": str(slot)}
        self.slot = int(slot)
        self.differences = []
        self.texts = {}
        self.narrow = None
        self.attributes = {}
        self.n_calls = 0

    def value(self, element):
        """An argument, with what the case only names put in."""
        text = element.get("value", "")
        text = self.texts.get(text, text)
        return re.sub(r"\$\{([^}]*)\}", lambda m: str(self.vars[m[1]]), text)

    def differs(self, call, item, expected, seen):
        if item in VARIABLE or expected == seen:
            return
        print(f"# {call} {item}: the case has {expected}, here it is {seen}")
        self.differences.append(f"{call} {item}")

    # ---- one method a call: arguments in, (return value, what came out) back -----------------

    def structure(self, call, kind, *args):
        out = kind()
        return getattr(self.lib, call)(*args, c.byref(out)), {kind.__name__: out}

    def c_initialize(self, q):
        return self.lib.C_Initialize(None), {}

    def c_finalize(self, q):
        return self.lib.C_Finalize(None), {}

    def c_getinfo(self, q):
        return self.structure("C_GetInfo", Info)

    def slot_of(self, q):
        return c.c_ulong(int(self.value(q.find("SlotID"))))

    def c_getslotinfo(self, q):
        return self.structure("C_GetSlotInfo", SlotInfo, self.slot_of(q))

    def c_gettokeninfo(self, q):
        return self.structure("C_GetTokenInfo", TokenInfo, self.slot_of(q))

    def c_getmechanisminfo(self, q):
        kind = c.c_ulong(number("CKM_", self.value(q.find("Type"))))
        return self.structure("C_GetMechanismInfo", MechanismInfo, self.slot_of(q), kind)

    def array(self, call, q, name, first):
        given = q.find(name)
        n = c.c_ulong(0)
        out = None
        if given.get("length"):
            n = c.c_ulong(int(re.sub(r"\$\{([^}]*)\}", lambda m: str(self.vars[m[1]]), given.get("length"))))
            out = (c.c_ulong * n.value)()
        rv = getattr(self.lib, call)(first, out, c.byref(n))
        return rv, {name: n.value if out is None else list(out)[:n.value]}

    def c_getslotlist(self, q):
        return self.array("C_GetSlotList", q, "SlotList", c.c_ubyte(self.value(q.find("TokenPresent")) == "true"))

    def c_getmechanismlist(self, q):
        return self.array("C_GetMechanismList", q, "MechanismList", self.slot_of(q))

    def c_opensession(self, q):
        h = c.c_ulong()
        rv = self.lib.C_OpenSession(self.slot_of(q), c.c_ulong(flags(self.value(q.find("Flags")))), None, None, c.byref(h))
        return rv, {"Session": h.value}

    def session(self, q):
        return c.c_ulong(int(self.value(q.find("Session"))))

    def c_closesession(self, q):
        return self.lib.C_CloseSession(self.session(q)), {}

    def c_closeallsessions(self, q):
        return self.lib.C_CloseAllSessions(self.slot_of(q)), {}

    def c_login(self, q):
        pin = self.value(q.find("Pin")).encode()
        user = number("CKU_", self.value(q.find("UserType")))
        return self.lib.C_Login(self.session(q), c.c_ulong(user), pin, c.c_ulong(len(pin))), {}

    def c_logout(self, q):
        return self.lib.C_Logout(self.session(q)), {}

    def c_findobjectsinit(self, q):
        want = []
        for a in q.find("Template"):
            kind, text = a.get("type"), self.value(a)
            if kind == "CLASS":
                want.append((CK["CKA_" + kind], bytes(c.c_ulong(number("CKO_", text)))))
            elif text.lower() in ("true", "false"):
                want.append((CK["CKA_" + kind], bytes([text.lower() == "true"])))
            else:
                want.append((CK["CKA_" + kind], text.encode()))
        if self.narrow and CK["CKA_CLASS"] not in [k for k, _ in want]:
            want.append((CK["CKA_CLASS"], bytes(c.c_ulong(number("CKO_", self.narrow)))))
        self.kept = [c.create_string_buffer(v, len(v)) for _, v in want]
        t = (Attribute * len(want))(*[Attribute(k, c.addressof(b), len(v))
                                      for (k, v), b in zip(want, self.kept)])
        return self.lib.C_FindObjectsInit(self.session(q), t, c.c_ulong(len(want))), {}

    def c_findobjects(self, q):
        room = int(q.find("Object").get("length"))
        out, n = (c.c_ulong * room)(), c.c_ulong()
        rv = self.lib.C_FindObjects(self.session(q), out, c.c_ulong(room), c.byref(n))
        return rv, {"Object": list(out)[:n.value]}

    def c_findobjectsfinal(self, q):
        return self.lib.C_FindObjectsFinal(self.session(q)), {}

    def c_getattributevalue(self, q):
        names = list(q.find("Template"))
        room = [int(a.get("length") or 0) for a in names]
        if room[0] != 0 and [a.get("type") for a in names] == list(self.attributes):
            room = [max(r, n) for r, n in zip(room, self.attributes.values())]
        store = [c.create_string_buffer(r) if r else None for r in room]
        t = (Attribute * len(names))(*[Attribute(CK["CKA_" + a.get("type")], c.addressof(b) if b else None, r)
                                       for a, b, r in zip(names, store, room)])
        rv = self.lib.C_GetAttributeValue(self.session(q), c.c_ulong(int(self.value(q.find("Object")))), t,
                                          c.c_ulong(len(names)))
        got = {}
        for a, b, x in zip(names, store, t):
            got[a.get("type")] = b.raw[:x.n] if b and x.n != UNAVAILABLE else x.n
        self.attributes = {k: v if isinstance(v, int) else len(v) for k, v in got.items()}
        if "MODULUS" in got:
            self.public = got
        return rv, {"Template": got}

    def c_signinit(self, q):
        self.mechanism = self.value(q.find("Mechanism/Type"))
        m = Mechanism(CK["CKM_" + self.mechanism], None, 0)
        return self.lib.C_SignInit(self.session(q), c.byref(m), c.c_ulong(int(self.value(q.find("Key"))))), {}

    def c_sign(self, q):
        data = bytes.fromhex(self.value(q.find("Data")))
        n = c.c_ulong(int(q.find("Signature").get("length")))
        out = c.create_string_buffer(n.value)
        rv = self.lib.C_Sign(self.session(q), data, c.c_ulong(len(data)), out, c.byref(n))
        if rv == 0:
            self.verify(data, out.raw[:n.value])
        return rv, {"Signature": out.raw[:n.value]}

    def verify(self, data, signature):
        """By plain OpenSSL with the numbers that the token gave for the public key."""
        conf = "asn1=SEQUENCE:k\n[k]\na=SEQUENCE:r\nb=BITWRAP,SEQUENCE:p\n[r]\no=OID:rsaEncryption\nn=NULL\n[p]\n" \
            "n=INTEGER:0x%s\ne=INTEGER:0x%s\n" % (self.public["MODULUS"].hex(), self.public["PUBLIC_EXPONENT"].hex())
        with tempfile.TemporaryDirectory() as d:
            for name, content in (("conf", conf.encode()), ("data", data), ("sig", signature)):
                open(f"{d}/{name}", "wb").write(content)
            subprocess.run(["openssl", "asn1parse", "-genconf", d + "/conf", "-noout", "-out", d + "/der"], check=True,
                           capture_output=True)
            subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", d + "/der", "-out", d + "/pem"], check=True)
            out = subprocess.run(["openssl", "dgst", "-sha256", "-verify", d + "/pem", "-signature", d + "/sig", d + "/data"],
                                 capture_output=True, text=True)
            if out.returncode != 0:
                raise SystemExit("the signature does not verify: " + out.stdout + out.stderr)
            print("# the signature verifies")

    # ---- answers ---------------------------------------------------------------------------------

    def compare_structure(self, call, expected, seen):
        for e in expected:
            have = getattr(seen, e.tag)
            if isinstance(have, Version):
                self.differs(call, e.tag, (int(e.get("major")), int(e.get("minor"))), (have.major, have.minor))
            elif e.tag == "Flags":
                self.differs(call, e.tag, hex(flags(e.get("value"))), hex(have))
            elif isinstance(have, bytes):
                self.differs(call, e.tag, e.get("value"), have.decode())
            else:
                self.differs(call, e.tag, e.get("value"), "UnavailableInformation" if have == UNAVAILABLE else str(have))

    def bind(self, name, expected, seen):
        """Lists: a length is remembered, members are bound to their names or looked for."""
        if isinstance(seen, int):
            self.vars[name + ".length"] = seen
            return
        if name == "SlotList":
            if self.slot not in seen:
                raise SystemExit(f"slot {self.slot} is not in the list")
            return
        for i, e in enumerate(expected):
            if name == "MechanismList":
                if number("CKM_", e.get("value")) not in seen:
                    raise SystemExit("the mechanism %s is not in the list" % e.get("value"))
            elif i < len(seen): # one that is missing is missed where it is named
                self.vars[f"Object.Object[{i}]"] = seen[i]

    def compare(self, call, answer, out):
        for e in answer:
            if e.tag in ("Info", "SlotInfo", "TokenInfo", "MechanismInfo"):
                # One published case calls a token's structure plain "Info".
                self.compare_structure(call, e, next(iter(out.values())))
            elif e.tag in ("SlotList", "MechanismList", "Object"):
                self.bind(e.tag, e, out[e.tag])
            elif e.tag == "Session":
                self.vars["Session"] = out["Session"]
            elif e.tag == "Template":
                for a in e:
                    have = out["Template"][a.get("type")]
                    if not isinstance(have, int):
                        text = have.decode("utf-8", "replace") if a.get("type") == "LABEL" else have.hex()
                        self.differs(call, a.get("type"), a.get("value"), text)
            elif e.tag == "Signature":
                self.differs(call, "Signature", e.get("value"), out["Signature"].hex())
            else:
                raise SystemExit(f"{call}: no comparison for {e.tag}")

    def play(self, path):
        steps = list(xml.parse(path).getroot())
        if len(steps) % 2 != 0:
            raise SystemExit("calls and answers do not pair up")
        for q, a in zip(steps[::2], steps[1::2]):
            if q.tag != a.tag or q.get("rv") or not a.get("rv"):
                raise SystemExit(f"{q.tag} and {a.tag} do not pair up")
            try:
                rv, out = getattr(self, q.tag.lower())(q)
            except KeyError as e:
                raise SystemExit(f"{q.tag}: there is no {e}") from e
            self.n_calls += 1
            want = number("CKR_", a.get("rv"))
            if rv != want:
                raise SystemExit(f"{q.tag}: 0x{rv:x} where the case has {a.get('rv')}")
            self.compare(q.tag, a, out)
        return self.n_calls


def main(args):
    p = Player(args[0], args[1], args[2])
    rest = args[4:]
    while rest:
        if rest[0] == "--set":
            old, new = rest[1].split("=", 1)
            p.texts[old] = new
        elif rest[0] == "--class":
            p.narrow = rest[1]
        else:
            raise SystemExit(__doc__)
        rest = rest[2:]
    n = p.play(args[3])
    for d in sorted(set(p.differences)):
        print("differs: " + d)
    print(f"# {n} calls")


if len(sys.argv) < 5:
    raise SystemExit(__doc__)
main(sys.argv[1:])
