/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulated TPM as a virtual machine monitor wants it: a socket with the control protocol of
 * swtpm ("-chardev socket,path=D/vm.sock -tpmdev emulator"), through which the monitor hands over
 * its end of the data channel. One machine at a time. What the guest sends goes through one by one,
 * so that the lab stays the paravisor between guest and TPM; what the monitor may do is to switch
 * the machine on.
 */
#ifndef LAB_LAB_VM_H
#define LAB_LAB_VM_H

#include "lab/lab_proxy.h"

struct lab_vm;

/* The machine is switched on or reset. Called from the thread of lab_vm only. */
typedef vs_rc lab_vm_power_fn(void *arg, struct vs_err *err);

/* Listens on path. Errors: SOCKET, MEMORY. */
VS_RC lab_vm_start(const char *path, lab_proxy_fn *fn, lab_vm_power_fn *power, void *arg,
	struct lab_vm **ret, struct vs_err *err);
/* Ends the thread and the connection, removes the socket. NULL-safe. */
void lab_vm_stop(struct lab_vm *vm);

#endif
