// SPDX-License-Identifier: BSD-2-Clause
// SunPKCS11 on the module: what Java signs, opens and derives is checked by other providers.
import java.security.*;
import java.security.interfaces.ECPublicKey;
import java.security.spec.*;
import java.util.*;
import javax.crypto.*;
import javax.crypto.spec.*;

public class Client {
	static final byte[] MSG = "a message".getBytes();
	static Provider token;
	static KeyStore keys;

	static void check(String what, boolean ok) {
		System.out.println((ok ? "ok " : "FAILED: ") + what);
		if (!ok)
			System.exit(1);
	}

	static void sign(String alias, String alg, AlgorithmParameterSpec spec) throws Exception {
		PublicKey pub = keys.getCertificate(alias).getPublicKey();
		Signature s = Signature.getInstance(alg, token);
		if (spec != null)
			s.setParameter(spec);
		s.initSign((PrivateKey) keys.getKey(alias, null));
		s.update(MSG);
		byte[] sig = s.sign();
		// The module's own verification makes a session public key of the certificate's.
		for (Provider p : new Provider[] {Security.getProvider(pub instanceof ECPublicKey ? "SunEC" : "SunRsaSign"), token}) {
			Signature v = Signature.getInstance(alg, p);
			if (spec != null)
				v.setParameter(spec);
			v.initVerify(pub);
			v.update(MSG);
			check(alias + " " + alg + " verified by " + p.getName(), v.verify(sig));
		}
	}

	public static void main(String[] args) throws Exception {
		token = Security.getProvider("SunPKCS11").configure(args[0]);
		Security.addProvider(token);
		keys = KeyStore.getInstance("PKCS11", token);
		keys.load(null, null);
		check("six keys are there", Collections.list(keys.aliases()).size() == 6);

		sign("rsa2048", "SHA256withRSA", null);
		sign("rsa2048", "RSASSA-PSS", new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
		sign("ec256", "SHA256withECDSA", null);
		sign("ec384", "SHA384withECDSA", null);

		Cipher c = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
		c.init(Cipher.ENCRYPT_MODE, keys.getCertificate("rsa2048"));
		Cipher d = Cipher.getInstance("RSA/ECB/PKCS1Padding", token);
		d.init(Cipher.DECRYPT_MODE, keys.getKey("rsa2048", null));
		check("RSA decryption", Arrays.equals(d.doFinal(c.doFinal(MSG)), MSG));

		ECPublicKey pub = (ECPublicKey) keys.getCertificate("ec256").getPublicKey();
		KeyPairGenerator g = KeyPairGenerator.getInstance("EC", "SunEC");
		g.initialize(pub.getParams());
		KeyPair peer = g.generateKeyPair();
		KeyAgreement a = KeyAgreement.getInstance("ECDH", token);
		a.init(keys.getKey("ec256", null));
		a.doPhase(peer.getPublic(), true);
		KeyAgreement b = KeyAgreement.getInstance("ECDH", "SunEC");
		b.init(peer.getPrivate());
		b.doPhase(pub, true);
		check("ECDH", Arrays.equals(a.generateSecret(), b.generateSecret()));

		byte[] octets = new byte[32];
		for (int i = 0; i < 32; i++)
			octets[i] = (byte) (i + 32);
		for (String mode : new String[] {"AES/GCM/NoPadding", "AES/CBC/PKCS5Padding"}) {
			AlgorithmParameterSpec iv = mode.contains("GCM") ? new GCMParameterSpec(128, new byte[12])
									 : new IvParameterSpec(new byte[16]);
			c = Cipher.getInstance(mode, token);
			c.init(Cipher.ENCRYPT_MODE, keys.getKey("aes256", null), iv);
			d = Cipher.getInstance(mode, "SunJCE");
			d.init(Cipher.DECRYPT_MODE, new SecretKeySpec(octets, "AES"), iv);
			check(mode, Arrays.equals(d.doFinal(c.doFinal(MSG)), MSG));
		}
		Mac m = Mac.getInstance("HmacSHA256", token);
		m.init(new SecretKeySpec("key".getBytes(), "HmacSHA256"));
		Mac n = Mac.getInstance("HmacSHA256", "SunJCE");
		n.init(new SecretKeySpec("key".getBytes(), "HmacSHA256"));
		check("HMAC with a key of the caller's", Arrays.equals(m.doFinal(MSG), n.doFinal(MSG)));
		byte[] r = new byte[16];
		SecureRandom.getInstance("PKCS11", token).nextBytes(r);
		check("random", !Arrays.equals(r, new byte[16]));
	}
}
