/* SPDX-License-Identifier: MIT */
/*
 * Guarding one module.
 */
#ifndef NB_GUARD_INSTALL_H
#define NB_GUARD_INSTALL_H

#include "code.h"
#include "patch.h"

#define NB_MODULE_SITES_MAX 65536

/* Where the stubs of a module are; what the next one there may use again. */
struct nb_place {
	uint64_t start, end;
	uint32_t sites; /* so many records */
};

/* One module on its way. */
struct nb_job {
	const struct nb_image *im;
	struct nb_module *m;	/* first_patched: of those in place */
	struct nb_place *place; /* sites 0: none yet */
	struct nb_site *sites;	/* NB_MODULE_SITES_MAX */
	struct nb_code code;
	int nr;		 /* of sites found */
	uint32_t wanted; /* ... to patch */
	uint8_t *stubs;	 /* as they will be in memory */
	uint64_t room;	 /* ... bytes */
	uint8_t page[4096];
};

int nb_install(struct nb_job *j);

#endif /* NB_GUARD_INSTALL_H */
