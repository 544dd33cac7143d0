/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV as the application sees it, while the kernel has our handler.
 */
#ifndef NB_SIGCHAIN_H
#define NB_SIGCHAIN_H

#include "../base/util.h"

#include <signal.h>
#include <ucontext.h>

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

/* struct sigaction as the kernel has it. */
struct nb_ksigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

#define NB_SIG_BIT(sig) (1ULL << ((sig)-1))

int nb_sigchain_install(void);
int nb_sigchain_remove(void);
bool nb_sigchain_installed(void);
bool nb_sigchain_intact(void);
void nb_sigchain_renew(void);
void nb_sigchain_fork_child(void);
void nb_sigchain_on_crash(void (*fn)(void));
void nb_sigchain_action(const struct nb_ksigaction *act,
			struct nb_ksigaction *old);
void nb_sigchain_get(struct nb_ksigaction *act);
bool nb_sigchain_is_ours(const struct nb_ksigaction *act);
void nb_sigchain_every_mask(bool seen);
void nb_sigchain_on_wait(void (*fn)(void));
void nb_sigchain_on_handler(void (*begin)(const ucontext_t *uc),
			    void (*end)(ucontext_t *uc));
bool nb_sigchain_real(void);
void nb_sigchain_handler_begin(ucontext_t *uc, bool segv);
bool nb_sigchain_block(bool blocked);
bool nb_sigchain_set_blocked(bool blocked);
bool nb_sigchain_blocked(void);
bool nb_sigchain_inherit(uint64_t tls, uint64_t *where);
bool nb_sigchain_wait_begin(bool blocked);
void nb_sigchain_wait_end(bool was);
void nb_sigchain_deliver_pending(void);
bool nb_sigchain_pending(void);
bool nb_sigchain_take_pending(siginfo_t *info);
int nb_sigchain_ignore(bool on);
void nb_sigchain_ignore_here(bool on);

#endif /* NB_SIGCHAIN_H */
