/* The verb check. */
#include <stdio.h>

#include "cli.h"

static void print_step(void *context, const char *name, const char *text) {
    (void)context;
    printf("ok    %-8s  %s\n", name, text);
    fflush(stdout);
}

int cli_check(const cli_options *options) {
    coulis_error error;
    coulis_status status = coulis_check(options->paths[0], &options->choose, print_step, NULL, &error);
    return status ? cli_fail(status, &error) : EXIT_DONE;
}
