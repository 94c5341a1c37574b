/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RSA key pairs in a third of the time that EVP_RSA_gen takes, because a lab needs a dozen of them
 * before anybody can begin. Two random primes of half the length, tested as OpenSSL tests primes;
 * what is left out are the side conditions of SP 800-56B, whose checks take the time. For keys that
 * live as long as a lab.
 */
#ifndef LAB_LAB_RSA_H
#define LAB_LAB_RSA_H

struct evp_pkey_st;

/* NULL when it fails. bits: even, at least 1024 (weak keys are for refusals). Exponent 65537. */
struct evp_pkey_st *lab_rsa_gen(unsigned bits);

#endif
