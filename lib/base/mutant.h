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

#endif /* NB_MUTANT_H */
