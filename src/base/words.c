/* The words of statuses and options: the only place where they stand. Command, Python and messages ask here. */
#include "base/words.h"

#define WORDS_MAX 8

static const struct {
    const char *option;
    const char *words[WORDS_MAX + 1]; /* by number; NULL behind the last */
} options[] = {
    {"features", {"pooled", "map", "logits", "cls", "tokens-mean", "tokens", "projected", "default"}},
    {"precision", {"float32", "bf16", "int8"}},
    {"resize", {"squash", "crop", "published", "auto"}},
    {"filter", {"bicubic", "bilinear", "nearest", "lanczos", "plain"}},
    {"center", {"even", "down"}},
    {"orient", {"ignore", "exif"}},
    {"alpha", {"drop", "white"}},
    {"truncated", {"refuse", "keep"}},
    {"depth", {"pillow", "scale"}},
    {"cmyk", {"plain", "profile"}},
    {"decode", {"exact", "fast"}},
    {"solver", {"auto", "covariance", "gram", "randomized"}},
    {"stage", {"list", "featurize", "fit", "transform", "transfer"}},
    {"what", {"features", "pca"}},
    {"dtype", {"float32", "float16"}},
    {"map", {"pca", "umap", "tsne"}},
};

static const struct {
    int32_t status;
    const char *name;
} statuses[] = {
    {COULIS_OK, "ok"},
    {COULIS_UNREADABLE, "unreadable"},
    {COULIS_UNSUPPORTED, "unsupported"},
    {COULIS_TOO_LARGE, "too_large"},
    {COULIS_EMPTY, "empty"},
    {COULIS_MISSING, "missing"},
    {COULIS_INVALID_ARGUMENT, "invalid_argument"},
    {COULIS_NO_MEMORY, "no_memory"},
    {COULIS_IO, "io"},
    {COULIS_BAD_MODEL, "bad_model"},
    {COULIS_BAD_DATA, "bad_data"},
    {COULIS_NUMERIC, "numeric"},
    {COULIS_CONFLICT, "conflict"},
    {COULIS_INTERRUPTED, "interrupted"},
    {COULIS_INTERNAL, "internal"},
};

const char *coulis_status_name(int32_t status) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status) return statuses[i].name;
    return "unknown";
}

int32_t coulis_status_number(const char *name) {
    for (size_t i = 0; name && i < sizeof statuses / sizeof *statuses; i++)
        if (strcmp(statuses[i].name, name) == 0) return statuses[i].status;
    return -1;
}

static const char *const *words_of(const char *option) {
    for (size_t i = 0; option && i < sizeof options / sizeof *options; i++)
        if (strcmp(options[i].option, option) == 0) return options[i].words;
    return NULL;
}

const char *coulis_option_word(const char *option, int32_t number) {
    const char *const *words = words_of(option);
    return words && number >= 0 && number < WORDS_MAX ? words[number] : NULL;
}

int32_t coulis_option_number(const char *option, const char *word) {
    const char *const *words = words_of(option);
    for (int32_t i = 0; words && word && words[i]; i++)
        if (strcmp(words[i], word) == 0) return i;
    return -1;
}

coulis_status cl_check_option(const char *option, int32_t number, coulis_error *error) {
    if (coulis_option_word(option, number)) return COULIS_OK;
    return cl_fail(error, COULIS_INVALID_ARGUMENT, "%s: there is no number %d", option, number);
}
