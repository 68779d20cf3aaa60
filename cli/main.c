#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char help[] =
    "coulis turns pictures into feature vectors, reduces them with PCA and writes Parquet.\n"
    "\n"
    "  coulis run PATH... -o DIR        the whole job: featurize, fit PCA, transform, write\n"
    "  coulis featurize PATH... -o DIR  vectors only\n"
    "  coulis fit DIR -o PCA            PCA of vectors already written\n"
    "  coulis transform DIR --pca PCA -o DIR2\n"
    "  coulis models [list [--speed] | show NAME | path NAME]\n"
    "  coulis models add FILE --name NAME --from keras|torch|onnx   a network of your own; see add --help\n"
    "  coulis models get [NAME]         download published weights; without NAME: which there are\n"
    "  coulis bench [--model NAME] [--random-weights] [--precision P] [--threads N] [--seconds S] [--json]\n"
    "  coulis version | help\n"
    "\n"
    "PATH is a picture (JPEG, PNG, WebP), a folder (searched recursively) or @list.txt (a path a line).\n"
    "\n"
    "  --model NAME|FILE        network (efficientnet-lite0)\n"
    "  --features pooled|map|logits   averaged vector; the last feature map flattened; class scores (pooled)\n"
    "  -k, --components N|F     number of components, or share of the variance to reach, 0 < F < 1 (0.99)\n"
    "  --resize squash|crop     to the network's size at once, or the shorter side and then the centre (squash)\n"
    "  --orient ignore|exif     EXIF orientation (ignore)\n"
    "  --alpha drop|white       transparency (drop)\n"
    "  --decode exact|fast      fast: large JPEG at a fraction of its size; changes pixels a little (exact)\n"
    "  --precision float32|bf16|int8   of products in the network; others change vectors a little (float32)\n"
    "  --threads N              threads (all cores)\n"
    "  --rows-per-file N        rows in a Parquet file (10000)\n"
    "  --drop-features          keep only the reduced vectors\n"
    "  --overwrite              start again; without it an unfinished DIR of the same recipe is resumed\n"
    "  --strict                 exit 1 when any picture failed\n"
    "  --json, --quiet, --no-progress\n"
    "\n"
    "Exit: 0 done; 1 failed; 2 usage; 3 done, some pictures unreadable; 130 interrupted, can be resumed.\n";

/* The verbs, each with the letters of the options it takes. */
static const struct {
    const char *name, *allowed;
    int (*run)(const cli_options *options);
} verbs[] = {
    {"run", "MFKROAENTPDdwsjqp", cli_run},
    {"featurize", "MFROAENTPDwsjqp", cli_featurize},
    {"fit", "KTDwjqp", cli_fit},
    {"transform", "TCDwjqp", cli_transform},
    {"models", "jv", cli_models},
    {"bench", "MFNTSrj", cli_bench},
};

int cli_fail(coulis_status status, const coulis_error *error) {
    fprintf(stderr, "coulis: %s\n", error->message);
    return status == COULIS_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

/* What was printed must have arrived: a full disk under stdout is a failure too. */
static int flush(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fputs("coulis: the output could not be written\n", stderr);
    return EXIT_FAILED;
}

/* A descriptor 0 to 2 that is closed would be given to the next file opened, and what is meant for stderr would be
 * written into it. What stands in for it fails when it is used, as it would have. */
static bool open_standard_streams(void) {
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
        if (fcntl(stream, F_GETFD) < 0 &&
            open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream) /* the lowest that is free */
            return false;
    return true;
}

int main(int argc, char **argv) {
    if (!open_standard_streams()) return EXIT_FAILED; /* and there may be nowhere to say so */
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        fputs(help, stdout);
        return flush(EXIT_DONE);
    }
    if (strcmp(verb, "version") == 0 || strcmp(verb, "--version") == 0) {
        printf("coulis %s (%s)\n", coulis_version(), coulis_instruction_set());
        return flush(EXIT_DONE);
    }
    if (strcmp(verb, "models") == 0 && argc > 2 && (strcmp(argv[2], "add") == 0 || strcmp(argv[2], "get") == 0))
        return cli_models_python(argc, argv);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verb, verbs[i].name) != 0) continue;
        cli_options options;
        int code = EXIT_USAGE;
        if (cli_parse(argc, argv, verbs[i].allowed, &options)) {
            if (options.help) fputs(help, stdout);
            code = options.help ? EXIT_DONE : verbs[i].run(&options);
        }
        cli_options_free(&options);
        return flush(code);
    }
    if (!*verb) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    return cli_usage("'%s' is no verb of coulis", verb);
}
