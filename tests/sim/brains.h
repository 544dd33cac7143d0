/* SPDX-License-Identifier: MIT */
/*
 * Those who decide.
 */
#ifndef NB_SIM_BRAINS_H
#define NB_SIM_BRAINS_H

#include "scenario.h"

extern const struct sim_brain sim_brain_never;
extern const struct sim_brain sim_brain_interleave;
extern const struct sim_brain sim_brain_kernel;
extern const struct sim_brain sim_brain_numabal;
extern const struct sim_brain sim_brain_perfect;

#endif /* NB_SIM_BRAINS_H */
