// SPDX-License-Identifier: BSD-2-Clause
// An application of SunPKCS11: KeyStore, Signature (RSA, PSS, ECDSA), Cipher.
import java.nio.file.*;
import java.security.*;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.*;
import java.util.*;
import javax.crypto.Cipher;

public class Token {
	static void sign(Provider p, KeyStore ks, String alg, String alias, byte[] data, Path out) throws Exception {
		Signature s = Signature.getInstance(alg, p);
		AlgorithmParameterSpec pss = new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1);
		s.initSign((PrivateKey) ks.getKey(alias, null));
		if (alg.equals("RSASSA-PSS"))
			s.setParameter(pss);
		// many parts
		s.update(data, 0, 100);
		s.update(data, 100, data.length - 100);
		byte[] sig = s.sign();
		// The JDK's own provider verifies.
		Signature v = alg.equals("SHA256withECDSA") ? Signature.getInstance(alg, "SunEC")
			: Signature.getInstance(alg, "SunRsaSign");
		v.initVerify(ks.getCertificate(alias).getPublicKey());
		if (alg.equals("RSASSA-PSS"))
			v.setParameter(pss);
		v.update(data);
		if (!v.verify(sig))
			throw new Exception(alg + " does not verify");
		Files.write(out.resolve(alg + ".sig"), sig);
		System.out.println(alg + " ok");
	}

	public static void main(String[] a) throws Exception {
		Provider p = Security.getProvider("SunPKCS11").configure(a[0]);
		Security.addProvider(p);
		KeyStore ks = KeyStore.getInstance("PKCS11", p);
		ks.load(null, null);
		if (a[1].equals("list")) {
			System.out.println(Collections.list(ks.aliases()));
			return;
		}
		byte[] data = Files.readAllBytes(Path.of(a[2]));
		Path out = Path.of(a[3]);
		sign(p, ks, "SHA256withRSA", "rsa2048", data, out);
		sign(p, ks, "RSASSA-PSS", "rsa2048", data, out);
		sign(p, ks, "SHA256withECDSA", "ec256", data, out);
		byte[] secret = Arrays.copyOf(data, 40);
		Cipher enc = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
		enc.init(Cipher.ENCRYPT_MODE, ks.getCertificate("rsa2048").getPublicKey());
		byte[] ct = enc.doFinal(secret);
		Cipher dec = Cipher.getInstance("RSA/ECB/PKCS1Padding", p);
		dec.init(Cipher.DECRYPT_MODE, (PrivateKey) ks.getKey("rsa2048", null));
		if (!Arrays.equals(dec.doFinal(ct), secret))
			throw new Exception("decrypted to something else");
		System.out.println("decrypted");
		byte[] rnd = new byte[32];
		SecureRandom.getInstance("PKCS11", p).nextBytes(rnd);
		if (Arrays.equals(rnd, new byte[32]))
			throw new Exception("no random");
		// A signature over other data is refused by the token's provider as well.
		Signature v = Signature.getInstance("SHA256withRSA", p);
		v.initVerify((RSAPublicKey) ks.getCertificate("rsa2048").getPublicKey());
		v.update(secret);
		if (v.verify(Files.readAllBytes(out.resolve("SHA256withRSA.sig"))))
			throw new Exception("a signature of something else verifies");
	}
}
