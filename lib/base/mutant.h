/* SPDX-License-Identifier: MIT */
/*
 * Defences that a build can be made without, to see that tests notice:
 * BUILD=mutant-NO_PUBLISH and so on, make check-mutations.
 */
#ifndef NB_MUTANT_H
#define NB_MUTANT_H

#include <stdbool.h>

/* A call's memory does not stay accessible after the call was entered. */
#ifdef NB_MUTANT_NO_PUBLISH
#define NB_NO_PUBLISH true
#else
#define NB_NO_PUBLISH false
#endif

/* numabald may miss what a thread is just about to publish. */
#ifdef NB_MUTANT_NO_MEMBARRIER
#define NB_NO_MEMBARRIER true
#else
#define NB_NO_MEMBARRIER false
#endif

/* Memory is not given back before the program changes its mappings. */
#ifdef NB_MUTANT_NO_MM_HOOK
#define NB_NO_MM_HOOK true
#else
#define NB_NO_MM_HOOK false
#endif

/* Stacks are armed as all memory is; that of a new thread alone. */
#ifdef NB_MUTANT_NO_STACK
#define NB_NO_STACK true
#else
#define NB_NO_STACK false
#endif
#if defined(NB_MUTANT_NO_CLONE_STACK) || defined(NB_MUTANT_NO_STACK)
#define NB_NO_CLONE_STACK true
#else
#define NB_NO_CLONE_STACK false
#endif

/* Memory stays armed while a crash ends the program. */
#ifdef NB_MUTANT_NO_CRASH
#define NB_NO_CRASH true
#else
#define NB_NO_CRASH false
#endif

/* A SIGSEGV that is not ours does not go to the program's handler. */
#ifdef NB_MUTANT_NO_CHAIN
#define NB_NO_CHAIN true
#else
#define NB_NO_CHAIN false
#endif

/* A frame is put over what lies below the stack pointer and is in use. */
#ifdef NB_MUTANT_NO_RED_ZONE
#define NB_NO_RED_ZONE true
#else
#define NB_NO_RED_ZONE false
#endif

/* The program protects memory that is armed, and that is not looked at. */
#ifdef NB_MUTANT_NO_PROTECT
#define NB_NO_PROTECT true
#else
#define NB_NO_PROTECT false
#endif

/* Memory is armed whatever it is: shared, a file. */
#ifdef NB_MUTANT_NO_KINDS
#define NB_NO_KINDS true
#else
#define NB_NO_KINDS false
#endif

/* The program sees our pins. */
#ifdef NB_MUTANT_NO_PIN_VIEW
#define NB_NO_PIN_VIEW true
#else
#define NB_NO_PIN_VIEW false
#endif

/* Children, programs and threads that a pinned thread starts keep its pin. */
#ifdef NB_MUTANT_NO_UNPIN
#define NB_NO_UNPIN true
#else
#define NB_NO_UNPIN false
#endif

/* A program that is started does not ignore SIGSEGV as it should. */
#ifdef NB_MUTANT_NO_EXEC_IGNORE
#define NB_NO_EXEC_IGNORE true
#else
#define NB_NO_EXEC_IGNORE false
#endif

#endif /* NB_MUTANT_H */
