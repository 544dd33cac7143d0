/* SPDX-License-Identifier: MIT */
/*
 * Options as text: "name=value" lines, taken from everywhere they can come
 * from.  What is accepted can be displayed, and what is displayed is accepted
 * and the same.
 *
 * Sources: lib/config.c lib/plat/log.c lib/plat/sys.c lib/plat/maps.c
 * Sources: lib/plat/line_reader.c
 */
#include "../../lib/config.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void from_arguments(struct nb_config *c, char *text)
{
	char err[NB_CONFIG_ERR];

	nb_config_defaults(c);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *value = strchr(line, '=');
		struct nb_config_arg arg = {line, value ? value + 1 : "",
					    NB_FROM_OPTS};

		if (value)
			*value = '\0';
		if (nb_config_set(c, &arg, err, sizeof(err)) &&
		    !memchr(err, 0, sizeof(err)))
			abort();
	}
	(void)nb_config_check(c, err, sizeof(err));
}

static void from_environment(struct nb_config *c, char *text)
{
	char *env[MAX_LINES + 1], err[NB_CONFIG_ERR], buf[256];
	int n = 0;

	for (char *line = strtok(text, "\n"); line && n < MAX_LINES;
	     line = strtok(NULL, "\n"))
		env[n++] = line;
	env[n] = NULL;
	nb_config_defaults(c);
	if (nb_config_from_env(c, env, err, sizeof(err)) &&
	    !memchr(err, 0, sizeof(err)))
		abort();
	(void)nb_config_unknown_env(env, buf, sizeof(buf));
	(void)nb_config_program_wanted(c, "program");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nb_config c;
	static char shown[8192];
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] & 1)
		from_arguments(&c, text);
	else
		from_environment(&c, text);
	nb_config_display(&c, shown, sizeof(shown));
	if (!memchr(shown, 0, sizeof(shown)))
		abort();
	free(text);
	return 0;
}
