/*
 * coulis: images to feature vectors to principal components to Parquet.
 *
 * This is the only installed header. Its sections: status and error; images; model; featurizer; PCA; moments and spans,
 * which are PCA of rows that come in parts or lie on several machines; index; sources; jobs; collections.
 *
 * Calls
 *
 *  - Every call that can fail returns a coulis_status and puts its result in an out-parameter. On failure a pointer,
 *    number or struct there is left untouched, so that there is nothing to release; memory of the caller's that was to
 *    be filled (pixels, vectors, scores, sums, a path) may have been written to, and its content is undefined.
 *  - `error` belongs to the caller and may be NULL. One rule for every function: on success it holds COULIS_OK and an
 *    empty message, whatever stood there; on failure the status and one sentence that names the file or argument and
 *    the reason.
 *  - A handle that a failed call was given is as it was before, and may be used and released, unless its function says
 *    otherwise.
 *  - Matrices are row-major and dense: element (r, c) of a matrix with `cols` columns is x[r * cols + c]. Sizes are
 *    64-bit. Text is UTF-8; paths are the bytes the operating system knows.
 *  - A result never depends on the number of threads, on the order in which images are given, nor on what else is in
 *    the batch: on one instruction set the same input gives the same bytes.
 *
 * Ownership
 *
 *  - Handles are opaque. The function that creates one says which function releases it; NULL may be released. When
 *    creation fails there is nothing to release. `options` may be NULL: the defaults.
 *  - Arguments belong to the caller and are read during the call only. Where a handle keeps using one, its function
 *    says so.
 *  - Pointers that a function returns are owned by the handle they came from and live as long as it does, or are
 *    static storage.
 *
 * Structs that grow
 *
 *  - Structs named ..._options, ..._info and ..._result that begin with `size` may get more fields at their end. The
 *    caller's compiler says how many it knows:
 *
 *        coulis_job_options options;
 *        coulis_job_options_init(&options, sizeof options);
 *
 *    A library that knows more fields uses defaults for those it was not given, and writes only those it was. One that
 *    knows fewer refuses a struct in which a field it does not know is not zero. So a program keeps working with any
 *    later library without being compiled again.
 *  - The numbers of enums never change; their words ("pooled", "exif", "unreadable", ...) come from
 *    coulis_option_word and coulis_status_name.
 *
 * Threads, processes and signals
 *
 *  - Functions without a handle may be called from any thread at any time, as may those that take a handle as const:
 *    one model or PCA serves any number of threads. A handle that is not const in a function is used by one caller at
 *    a time during it: so a featurizer, moments, a span and an index.
 *  - Releasing a handle is its last use: nobody else may be using it.
 *  - The library starts threads (for a featurizer, moments, or a job) and ends them when the handle is released or the
 *    call returns. They block all signals, which therefore reach the program's own threads.
 *  - After fork, parent and child each have a copy of every handle, and may use and release theirs; a child starts
 *    threads of its own at the first use. A handle that was in use by another thread at the fork is lost in the child:
 *    it may be neither used nor released there.
 *  - Callbacks are called by the thread that made the call, except where said otherwise. They may not call back with
 *    the same handle, nor leave by longjmp or an exception.
 *  - The library prints nothing, ends no process, installs no signal handler, changes neither locale nor working
 *    folder, and reads the environment only for COULIS_CPU, COULIS_MODELS, XDG_CACHE_HOME and HOME; where addresses of
 *    http or https are read, for CURL_CA_BUNDLE, SSL_CERT_FILE and the proxies that libcurl finds there; where S3 is,
 *    for AWS_... as AWS's own programs do; and in coulis_check for TMPDIR. What it keeps for the whole process is the
 *    choice of kernels, made at the first use, and a lock around LAPACK: OpenBLAS's number of threads belongs to the
 *    process, is set to 1 while an eigenproblem is solved, and put back.
 */
#ifndef COULIS_H
#define COULIS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COULIS_API __attribute__((visibility("default")))

/* "major.minor.patch". This line is the only place where the version stands: CMake and the packages read it here. */
#define COULIS_VERSION "0.2.0"

/* ---- status and error ---------------------------------------------------- */

/* 1 to 9 say what is wrong with one image; 10 and above say why a call failed as a whole. */
typedef enum coulis_status {
    COULIS_OK = 0,
    COULIS_UNREADABLE = 1,  /* a JPEG, PNG or WebP that is damaged, or a file that cannot be read */
    COULIS_UNSUPPORTED = 2, /* not an image, or of a kind coulis does not decode */
    COULIS_TOO_LARGE = 3,   /* more bytes or pixels than the limits allow */
    COULIS_EMPTY = 4,       /* no bytes at all */
    COULIS_MISSING = 5,     /* no such file */

    COULIS_INVALID_ARGUMENT = 10,
    COULIS_NO_MEMORY = 11,
    COULIS_IO = 12,          /* the operating system refused a read or write */
    COULIS_BAD_MODEL = 13,   /* a model file that does not fit its own description */
    COULIS_BAD_DATA = 14,    /* a table or PCA file that cannot be used */
    COULIS_NUMERIC = 15,     /* NaN or infinity in the input, or no solution */
    COULIS_CONFLICT = 16,    /* the output folder holds the result of another recipe */
    COULIS_INTERRUPTED = 17, /* stopped on request; the same call resumes */
    COULIS_INTERNAL = 18     /* a defect in coulis */
} coulis_status;

typedef struct coulis_error {
    int32_t status;    /* a coulis_status */
    char message[508]; /* UTF-8, one sentence, NUL-terminated */
} coulis_error;

/* The library's version, "major.minor.patch". Static storage. */
COULIS_API const char *coulis_version(void);

/* The word for `status` in tables and messages: "ok", "unreadable", ... Static storage; "unknown" for a number that is
 * no status. coulis_status_number is its inverse, -1 for a word that names none. */
COULIS_API const char *coulis_status_name(int32_t status);
COULIS_API int32_t coulis_status_number(const char *name);

/* The words of the enums below. `option` is the enum's name without coulis_: "features", "precision", "resize",
 * "filter", "center", "orient", "alpha", "decode", "truncated", "depth", "cmyk", "solver", "stage", "what" or "dtype".
 * Numbers begin at 0 without gaps: the first for which the word is NULL ends the list. Static storage.
 * coulis_option_number is the inverse, -1 for a word that names none. */
COULIS_API const char *coulis_option_word(const char *option, int32_t number);
COULIS_API int32_t coulis_option_number(const char *option, const char *word);

/* The instruction set whose kernels are in use: "avx512", "avx2", "neon" or
 * "scalar". COULIS_CPU in the environment, read once, names a lower one. */
COULIS_API const char *coulis_instruction_set(void);

/* Cores this process may run on: what 0 threads means everywhere. */
COULIS_API int32_t coulis_core_count(void);

/* ---- images --------------------------------------------------------------- */

/* PUBLISHED: as the publisher of the network does, which its file says; a featurizer fills in the fields `filter` to
 * `center`. AUTO: PUBLISHED for a network whose file says that this is its default, else SQUASH. */
typedef enum coulis_resize {
    COULIS_RESIZE_SQUASH = 0,
    COULIS_RESIZE_CROP = 1,
    COULIS_RESIZE_PUBLISHED = 2,
    COULIS_RESIZE_AUTO = 3
} coulis_resize;
/* Pillow's filters, but PLAIN: bilinear without antialiasing, two pixels in each direction however small the result,
 * with OpenCV's bytes (cv2.resize, INTER_LINEAR). */
typedef enum coulis_filter {
    COULIS_FILTER_BICUBIC = 0,
    COULIS_FILTER_BILINEAR = 1,
    COULIS_FILTER_NEAREST = 2,
    COULIS_FILTER_LANCZOS = 3,
    COULIS_FILTER_PLAIN = 4
} coulis_filter;
/* Where the centre begins when an odd number of pixels is left over: at the even one of the two (torchvision, timm), or
 * the smaller (transformers). */
typedef enum coulis_center { COULIS_CENTER_EVEN = 0, COULIS_CENTER_DOWN = 1 } coulis_center;
typedef enum coulis_orient { COULIS_ORIENT_IGNORE = 0, COULIS_ORIENT_EXIF = 1 } coulis_orient;
typedef enum coulis_alpha { COULIS_ALPHA_DROP = 0, COULIS_ALPHA_WHITE = 1 } coulis_alpha;
/* FAST: a JPEG far larger than wanted is decoded at 1/2, 1/4 or 1/8 of its size, the smallest at which both sides
 * are still twice what they are resized to, and then resized as usual. Other pixels, about four times as fast. */
typedef enum coulis_decode { COULIS_DECODE_EXACT = 0, COULIS_DECODE_FAST = 1 } coulis_decode;

/* KEEP: an image cut short keeps the rows that are there; the rest is grey in a JPEG, black in other formats, as with
 * Pillow's ImageFile.LOAD_TRUNCATED_IMAGES. */
typedef enum coulis_truncated { COULIS_TRUNCATED_REFUSE = 0, COULIS_TRUNCATED_KEEP = 1 } coulis_truncated;
/* What becomes of grey samples of more than 8 bits. PILLOW: values above 255 become 255. SCALE: the largest value that
 * their bits can hold becomes 255. */
typedef enum coulis_depth { COULIS_DEPTH_PILLOW = 0, COULIS_DEPTH_SCALE = 1 } coulis_depth;
/* PROFILE: CMYK with an embedded ICC profile becomes sRGB through it (LittleCMS, perceptual intent). */
typedef enum coulis_cmyk { COULIS_CMYK_PLAIN = 0, COULIS_CMYK_PROFILE = 1 } coulis_cmyk;

typedef struct coulis_image_options {
    size_t size;
    int32_t resize;     /* coulis_resize */
    int32_t orient;     /* coulis_orient */
    int32_t alpha;      /* coulis_alpha */
    int32_t decode;     /* coulis_decode */
    int64_t max_bytes;  /* size of a file at most; default 1 GiB */
    int64_t max_pixels; /* width times height at most; default 178,956,970, above which Pillow refuses too */
    /* Only with COULIS_RESIZE_PUBLISHED: */
    int32_t filter;        /* coulis_filter */
    int32_t resize_width;  /* the whole image is resized to these sides, of which the centre of the wanted size is */
    int32_t resize_height; /* cut out; 0: the shorter side becomes resize_width, or what is wanted if that is 0, too */
    int32_t center;        /* coulis_center */
    int32_t truncated;     /* coulis_truncated */
    int32_t depth;         /* coulis_depth */
    int32_t cmyk;          /* coulis_cmyk */
    int32_t reserved;      /* 0 */
} coulis_image_options;

COULIS_API void coulis_image_options_init(coulis_image_options *options, size_t size);

/* The image as stored. */
typedef struct coulis_image_info {
    size_t size;
    int32_t width, height; /* 0 when unknown */
} coulis_image_info;

COULIS_API void coulis_image_info_init(coulis_image_info *info, size_t size);

/* Decodes a JPEG, PNG or WebP held in memory and resizes it to `width` x `height` RGB, 8 bits, bytes equal to Pillow's
 * Image.open(f).convert("RGB").resize((width, height), BICUBIC), unless the options say otherwise.
 *
 *  bytes, size    the whole file
 *  rgb            out: height * width * 3 bytes of the caller's, row by row
 *  info           out, may be NULL; set up by coulis_image_info_init. Filled also when decoding fails after the header
 *
 * Returns COULIS_OK or an image status (1 to 5), COULIS_INVALID_ARGUMENT or COULIS_NO_MEMORY. */
COULIS_API coulis_status coulis_image_decode(const void *bytes, size_t size, const coulis_image_options *options,
                                             int32_t width, int32_t height, uint8_t *rgb, coulis_image_info *info,
                                             coulis_error *error);

/* The same from a file. */
COULIS_API coulis_status coulis_image_load(const char *path, const coulis_image_options *options, int32_t width,
                                           int32_t height, uint8_t *rgb, coulis_image_info *info, coulis_error *error);

/* ---- model ---------------------------------------------------------------- */

typedef struct coulis_model coulis_model;

typedef struct coulis_model_info {
    size_t size;
    const char *name;    /* strings live as long as the model */
    const char *source;  /* where the weights come from */
    const char *licence; /* of the weights */
    const char *sha256;  /* of the model file, 64 hexadecimal digits; "" with random weights */
    int32_t input_width, input_height;
    int64_t pooled_length;    /* dimensions of a vector of pooled features */
    int64_t map_length;       /* dimensions of a vector of the feature map */
    int64_t logits_length;    /* classes, 0 when the file has no classifier */
    int64_t parameters;       /* numbers in the weights */
    int64_t multiply_adds;    /* of one image up to the default features */
    int32_t default_features; /* coulis_features: what COULIS_FEATURES_DEFAULT means for this network */
    int32_t reserved;         /* 0 */
} coulis_model_info;

COULIS_API void coulis_model_info_init(coulis_model_info *info, size_t size);

/* Finds a model by name ("efficientnet-lite0") or by the path of a file, and writes its path, NUL-terminated, into
 * `path` (`capacity` bytes). Looked for, in this order: COULIS_MODELS, the user's data folder ($XDG_CACHE_HOME or
 * ~/.cache, then coulis/models), the folder `models` beside the library, and share/coulis/models where it is installed.
 * COULIS_MISSING with a sentence that says what to do. */
COULIS_API coulis_status coulis_model_find(const char *name, char *path, size_t capacity, coulis_error *error);

/* Calls `each` once for every model in those folders, by name in ascending order; `path` is a .safetensors file, or a
 * .graph.json where only the graph is available. Both strings are valid during the call only. */
COULIS_API coulis_status coulis_model_list(void (*each)(void *context, const char *name, const char *path),
                                           void *context, coulis_error *error);

typedef struct coulis_model_options {
    size_t size;
    int32_t random_weights; /* not 0: read the graph alone (NAME.graph.json will do) and draw weights from a generator
                             * with a fixed seed; for measuring speed only */
    int32_t reserved;       /* 0 */
} coulis_model_options;

COULIS_API void coulis_model_options_init(coulis_model_options *options, size_t size);

/* Opens a model by name or path, checks every shape and offset, and prepares it for this machine. The format is
 * described in docs/model-format.md. Released with coulis_model_close. */
COULIS_API coulis_status coulis_model_open(const char *name, const coulis_model_options *options, coulis_model **model,
                                           coulis_error *error);
COULIS_API void coulis_model_close(coulis_model *model);

/* Fills `info`, set up by coulis_model_info_init. */
COULIS_API coulis_status coulis_model_describe(const coulis_model *model, coulis_model_info *info, coulis_error *error);

/* Dimensions of a vector of these coulis_features; 0 when the network does not have them. */
COULIS_API int64_t coulis_model_features_length(const coulis_model *model, int32_t features);

/* ---- featurizer ------------------------------------------------------------ */

typedef enum coulis_features {
    COULIS_FEATURES_POOLED = 0,      /* the last feature map averaged over its area, or what a transformer pools */
    COULIS_FEATURES_MAP = 1,         /* the last feature map, flattened height, width, channel */
    COULIS_FEATURES_LOGITS = 2,      /* the classifier's scores before softmax */
    COULIS_FEATURES_CLS = 3,         /* a transformer's class token */
    COULIS_FEATURES_TOKENS_MEAN = 4, /* the mean of the tokens of its patches */
    COULIS_FEATURES_TOKENS = 5,      /* all its tokens, one after another */
    COULIS_FEATURES_PROJECTED = 6,   /* the vector in the space that images share with texts */
    COULIS_FEATURES_DEFAULT = 7      /* the one of these that the network's publisher calls the embedding */
} coulis_features;

/* In how many bits the products of 1x1 convolutions and dense layers are computed; all else is float32. Where the
 * processor has no instruction for it, and below the instruction set "avx512", the result is float32's. */
typedef enum coulis_precision {
    COULIS_PRECISION_FLOAT32 = 0,
    COULIS_PRECISION_BF16 = 1, /* both factors rounded to bfloat16, sums in float32 */
    COULIS_PRECISION_INT8 = 2  /* 8-bit weights per channel, 8-bit inputs per pixel, exact sums */
} coulis_precision;

typedef struct coulis_featurizer coulis_featurizer;

typedef struct coulis_featurizer_options {
    size_t size;
    const coulis_image_options *image;       /* how an image is decoded and resized; NULL for the defaults */
    int32_t features;                        /* coulis_features */
    int32_t precision;                       /* coulis_precision */
    int32_t threads;                         /* 0 for all cores */
    int32_t reserved;                        /* 0 */
    int32_t no_sign_request, requester_pays; /* as in coulis_source_options, for paths that are addresses in S3 */
} coulis_featurizer_options;

/* The network's default features, float32, all cores. */
COULIS_API void coulis_featurizer_options_init(coulis_featurizer_options *options, size_t size);

/* One image: bytes in memory, or, when `bytes` is NULL, a path. Its layout never changes. */
typedef struct coulis_input {
    const char *path; /* also names the image in messages; may be NULL when bytes are given */
    const void *bytes;
    size_t byte_count;
} coulis_input;

/* One image that is decoded already: `height` rows of `width` pixels, without gaps. Its layout never changes. */
typedef struct coulis_pixels {
    const uint8_t *pixels; /* height * width * channels bytes; the caller's, only read, and only during the call */
    int32_t width, height;
    int32_t channels;    /* 1: grey; 3: red, green, blue; 4: with alpha, not premultiplied */
    int32_t orientation; /* EXIF's 1 to 8, heeded with COULIS_ORIENT_EXIF; 0 when unknown */
} coulis_pixels;

/* What became of one image. Its layout never changes. */
typedef struct coulis_result {
    coulis_error error;    /* of this image; status COULIS_OK when it has a vector */
    int32_t width, height; /* of the image as stored, 0 when unknown */
} coulis_result;

/* The model must outlive the featurizer. Released with coulis_featurizer_free. */
COULIS_API coulis_status coulis_featurizer_create(const coulis_model *model, const coulis_featurizer_options *options,
                                                  coulis_featurizer **featurizer, coulis_error *error);
COULIS_API void coulis_featurizer_free(coulis_featurizer *featurizer);

/* Dimensions of a vector. */
COULIS_API int64_t coulis_featurizer_length(const coulis_featurizer *featurizer);

/* What decides the vectors, as a JSON object: see coulis_pca_recipe. Lives as long as the featurizer. */
COULIS_API const char *coulis_featurizer_recipe(const coulis_featurizer *featurizer);

/* Featurizes `count` images. `values` is count x length; the row of an image that failed is filled with zeros and its
 * result says why. The call itself fails only when out of memory or on wrong arguments; `values` and `results` are
 * undefined then. */
COULIS_API coulis_status coulis_featurizer_run(coulis_featurizer *featurizer, const coulis_input *inputs, int64_t count,
                                               float *values, coulis_result *results, coulis_error *error);

/* The same for images that are decoded already: resized, turned and put on white as the featurizer's options say, so
 * that the vector is that of a PNG of these pixels. Results and errors are those of coulis_featurizer_run: a side of 0
 * is COULIS_UNREADABLE, more pixels than allowed COULIS_TOO_LARGE, in the result of that image. */
COULIS_API coulis_status coulis_featurizer_run_images(coulis_featurizer *featurizer, const coulis_pixels *images,
                                                      int64_t count, float *values, coulis_result *results,
                                                      coulis_error *error);

/* The network alone: `count` images of input_height x input_width x 3 bytes, already decoded and resized, to count x
 * length numbers. */
COULIS_API coulis_status coulis_featurizer_run_pixels(coulis_featurizer *featurizer, const uint8_t *pixels,
                                                      int64_t count, float *values, coulis_error *error);

/* The network alone, of one that reads texts (docs/model-format.md): `count` texts of input_height tokens each, as its
 * tokenizer numbers them, to count x length numbers. COULIS_INVALID_ARGUMENT for a token that is not in its vocabulary,
 * and for a network of images; the functions above refuse one of texts in the same way. */
COULIS_API coulis_status coulis_featurizer_run_tokens(coulis_featurizer *featurizer, const int32_t *tokens,
                                                      int64_t count, float *values, coulis_error *error);

/* ---- PCA ----------------------------------------------------------------- */

typedef struct coulis_pca coulis_pca;

typedef enum coulis_solver {
    COULIS_SOLVER_AUTO = 0,
    COULIS_SOLVER_COVARIANCE = 1, /* of the columns; exact; at most 16,384 columns */
    COULIS_SOLVER_GRAM = 2,       /* of the rows; exact; at most 16,384 rows */
    COULIS_SOLVER_RANDOMIZED = 3  /* block Krylov; approximate, with a bound on the error; any shape */
} coulis_solver;

typedef struct coulis_pca_options {
    size_t size;
    double components; /* >= 1: that many, at most min(rows, cols); between 0 and 1: as many as are needed for that
                        * share of the total variance, as scikit-learn counts them; 0: min(rows, cols) */
    int32_t solver;    /* coulis_solver */
    int32_t threads;   /* 0 for all cores */
} coulis_pca_options;

/* 0 components, COULIS_SOLVER_AUTO, all cores. */
COULIS_API void coulis_pca_options_init(coulis_pca_options *options, size_t size);

/* Principal component analysis of `x` (rows x cols, finite numbers), centred. COULIS_SOLVER_AUTO takes the Gram matrix
 * when rows < cols and rows <= 16,384, the covariance matrix when cols <= rows and cols <= 16,384, and block Krylov
 * when both are larger. Signs follow scikit-learn: the element of each component that is largest in absolute value is
 * positive. Source of the method: Jolliffe, Principal Component Analysis, 2nd ed., 2002, chapters 3.5 and 3.9; Musco
 * and Musco, Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value Decomposition, 2015.
 *
 * COULIS_INVALID_ARGUMENT when there are fewer rows than two or than components, or when the solver asked for does not
 * take this shape, COULIS_NUMERIC on NaN or infinity (row and column named) and when block Krylov did not reach the
 * share within its limit. When all rows are equal, the total variance is 0: every explained variance and share is 0
 * and the components are an arbitrary orthonormal set.
 *
 * A PCA, from here and from every other function that makes one, is released with coulis_pca_free. It keeps nothing of
 * `x`. */
COULIS_API coulis_status coulis_pca_fit(const float *x, int64_t rows, int64_t cols, const coulis_pca_options *options,
                                        coulis_pca **pca, coulis_error *error);
COULIS_API void coulis_pca_free(coulis_pca *pca);

/* The file is safetensors with `mean` F64 (cols), `components` F32 (k, cols), `explained_variance` and
 * `explained_variance_ratio` F64 (k), and in its metadata `samples`, `total_variance`, `solver`, `error_bound`, and
 * under `coulis` the recipe where it is known. A file without `solver` and `error_bound`, as version 0.1.0 wrote them,
 * is read as that of an exact solver. A file appears whole or not at all, and replaces one of the same name; when
 * saving fails, that one is as it was. */
COULIS_API coulis_status coulis_pca_save(const coulis_pca *pca, const char *path, coulis_error *error);
COULIS_API coulis_status coulis_pca_load(const char *path, coulis_pca **pca, coulis_error *error);

/* The recipe of the vectors it was fitted to, a JSON object (network and its SHA-256, features, preprocessing,
 * precision, instruction set, version); NULL when it is not known, as of a matrix. Lives until it is set again. */
COULIS_API const char *coulis_pca_recipe(const coulis_pca *pca);

/* Sets the recipe, a JSON object, or NULL for none; it is copied. What coulis_pca_recipe returned before is released,
 * unless this fails. */
COULIS_API coulis_status coulis_pca_set_recipe(coulis_pca *pca, const char *recipe, coulis_error *error);

/* Whether vectors of the recipe `vectors` may be transformed by `pca`: COULIS_CONFLICT with a sentence that names the
 * first difference. What only says which images a table holds is not compared; where either recipe is not known, they
 * may. `name` names the PCA in the sentence; NULL for none. */
COULIS_API coulis_status coulis_pca_check_recipe(const coulis_pca *pca, const char *vectors, const char *name,
                                                 coulis_error *error);

COULIS_API int64_t coulis_pca_components_count(const coulis_pca *pca); /* k */
COULIS_API int64_t coulis_pca_columns(const coulis_pca *pca);
COULIS_API int64_t coulis_pca_samples(const coulis_pca *pca);
COULIS_API double coulis_pca_total_variance(const coulis_pca *pca); /* divided by samples - 1 */
COULIS_API int32_t coulis_pca_solver(const coulis_pca *pca); /* the one used; COULIS_SOLVER_AUTO when not known */
/* By how much a reported share (explained_variance_ratio) may at most be wrong: 0 for the exact solvers, for
 * block Krylov a bound proven from the residuals of its result. */
COULIS_API double coulis_pca_error_bound(const coulis_pca *pca);
COULIS_API const double *coulis_pca_mean(const coulis_pca *pca);                     /* cols */
COULIS_API const float *coulis_pca_components(const coulis_pca *pca);                /* k x cols */
COULIS_API const double *coulis_pca_explained_variance(const coulis_pca *pca);       /* k, divided by samples - 1 */
COULIS_API const double *coulis_pca_explained_variance_ratio(const coulis_pca *pca); /* k, of the total */

/* scores (rows x k) = (x - mean) times the components transposed. */
COULIS_API coulis_status coulis_pca_transform(const coulis_pca *pca, const float *x, int64_t rows, int32_t threads,
                                              float *scores, coulis_error *error);

/* x (rows x cols) = scores (rows x k) times the components, plus mean. */
COULIS_API coulis_status coulis_pca_inverse_transform(const coulis_pca *pca, const float *scores, int64_t rows,
                                                      float *x, coulis_error *error);

/* ---- moments: PCA of rows that come in parts -------------------------------- */

/* What the covariance matrix of rows takes: their number, mean, and the products of the centred columns. Rows are
 * numbered from 0; the sums are those of leaves of coulis_moments_leaf_rows rows, merged in a fixed tree. So the
 * same rows give the same bytes as coulis_pca_fit with COULIS_SOLVER_COVARIANCE, in whatever pieces they are added,
 * in whatever order parts of them are merged, and on any number of threads. Memory: at most
 * log2(rows / leaf rows) + 2 matrices of cols x cols float64. */
typedef struct coulis_moments coulis_moments;

/* Rows of a leaf: the larger of 1,024 and the power of two that is at least cols / 2; 0 for a number of columns
 * that is not in 1 .. 16,384. */
COULIS_API int64_t coulis_moments_leaf_rows(int64_t cols);

typedef struct coulis_moments_options {
    size_t size;
    int64_t first_row; /* number of the first row it will be given, a multiple of the leaf rows: a part of a matrix
                        * begins with a leaf of its own; default 0 */
    int32_t threads;   /* 0 for all cores */
    int32_t reserved;  /* 0 */
} coulis_moments_options;

COULIS_API void coulis_moments_options_init(coulis_moments_options *options, size_t size);

/* An accumulator without rows, of `cols` (1 to 16,384) columns. Released with coulis_moments_free. */
COULIS_API coulis_status coulis_moments_create(int64_t cols, const coulis_moments_options *options,
                                               coulis_moments **moments, coulis_error *error);
COULIS_API void coulis_moments_free(coulis_moments *moments);

/* Adds `rows` rows that follow the last one it has. COULIS_NUMERIC on NaN or infinity: no row was added.
 * COULIS_NO_MEMORY may leave some of them added: coulis_moments_rows says how many. */
COULIS_API coulis_status coulis_moments_update(coulis_moments *moments, const float *x, int64_t rows,
                                               coulis_error *error);

/* Adds the rows of `other`, which it has none of. They may come before or after its own, or between
 * them; only the last part may end within a leaf. On failure `moments` is as it was. */
COULIS_API coulis_status coulis_moments_merge(coulis_moments *moments, const coulis_moments *other,
                                              coulis_error *error);

/* PCA of the rows so far, in a handle of its own; more may follow. They must be all rows from 0 on: a sentence says
 * which are missing. The solver is automatic or covariance; threads are those of `moments`. */
COULIS_API coulis_status coulis_moments_finish(const coulis_moments *moments, const coulis_pca_options *options,
                                               coulis_pca **pca, coulis_error *error);

/* As bytes, for another process to load; *bytes is released with coulis_bytes_free. Equal moments give equal bytes.
 * Loading takes the threads from `options` and the first row from the bytes, which it copies; *moments is released with
 * coulis_moments_free. COULIS_BAD_DATA when the bytes are not moments. */
COULIS_API coulis_status coulis_moments_save(const coulis_moments *moments, void **bytes, size_t *size,
                                             coulis_error *error);
COULIS_API coulis_status coulis_moments_load(const void *bytes, size_t size, const coulis_moments_options *options,
                                             coulis_moments **moments, coulis_error *error);
COULIS_API void coulis_bytes_free(void *bytes);

COULIS_API int64_t coulis_moments_rows(const coulis_moments *moments); /* added so far */
COULIS_API int64_t coulis_moments_columns(const coulis_moments *moments);

/* ---- spans: PCA of rows with many columns that lie on several machines --------- */

/* Where rows and columns are both more than 16,384, no matrix is held: the rows are read several times, and sums over
 * them are all that is kept. They are numbered from 0 and cut into spans of coulis_span_rows rows, of which only the
 * last may have fewer. Each machine reads the spans that it has, by coulis_span; coulis_pca_fit_spans asks for the sums
 * over all of them. Those are the sums of the spans added up one after another, from the first to the last. So the same
 * rows give the same bytes as coulis_pca_fit with COULIS_SOLVER_RANDOMIZED, wherever their spans are. */
typedef struct coulis_span coulis_span;

/* Rows of a span: 16 blocks of 1,024 rows or 64 MiB each, whichever is less; 0 for a number of columns that is not in
 * 1 .. 2^31 - 1. */
COULIS_API int64_t coulis_span_rows(int64_t cols);

/* What sums up the rows of a span.
 *
 *  mean, scale, vectors, count   as coulis_spans.products has them; mean (cols) and vectors (count x cols) must outlive
 *                                it. NULL, 0, NULL and 0 for the statistics
 *  threads                       0 for all cores
 *
 * Released with coulis_span_free. */
COULIS_API coulis_status coulis_span_create(int64_t cols, const double *mean, double scale, const float *vectors,
                                            int64_t count, int32_t threads, coulis_span **span, coulis_error *error);
COULIS_API void coulis_span_free(coulis_span *span);

/* Adds `rows` rows that follow the last one, up to a whole span; they are copied. COULIS_NUMERIC on NaN or infinity,
 * when statistics are asked for: some of the rows may have been added then, and the span is to be released. */
COULIS_API coulis_status coulis_span_add(coulis_span *span, const float *x, int64_t rows, coulis_error *error);

/* Sum, lowest and highest number of each column, cols each; or products (count x cols) and squares (cols), see
 * coulis_spans. A new span may follow. */
COULIS_API coulis_status coulis_span_statistics(coulis_span *span, double *sums, float *lowest, float *highest,
                                                coulis_error *error);
COULIS_API coulis_status coulis_span_products(coulis_span *span, double *products, double *squares,
                                              coulis_error *error);

/* Rows that are elsewhere. Both functions give sums over all spans, and return 0, or another number to stop the fit,
 * which fails with COULIS_INTERRUPTED.
 *
 *  statistics   sum, lowest and highest of each column
 *  products     with C the rows less `mean`: products (count x cols) = vectors times C transposed times C, computed
 *               from C times `scale`; squares: the sum of squares of each column of C */
typedef struct coulis_spans {
    size_t size;
    int64_t rows, cols;
    void *context;
    int32_t (*statistics)(void *context, double *sums, float *lowest, float *highest);
    int32_t (*products)(void *context, const double *mean, double scale, const float *vectors, int64_t count,
                        double *products, double *squares);
} coulis_spans;

/* The principal components of the rows that `spans` stands for; see docs/pca.md for the method and its bound. What
 * `spans` and its functions are given is read and filled during the call only. The solver is automatic or randomized,
 * which are the same here. */
COULIS_API coulis_status coulis_pca_fit_spans(const coulis_spans *spans, const coulis_pca_options *options,
                                              coulis_pca **pca, coulis_error *error);

/* ---- index: the nearest of many vectors ------------------------------------ */

/* Exact search by cosine among vectors in memory: two vectors are compared by the cosine of the angle between them,
 * computed in float64; which pairs are worth that is decided by float32 products with a proven bound on their error.
 * The result is that of comparing all pairs in float64, and does not depend on the instruction set. A vector of zeros
 * has similarity 0 with every other. */
typedef struct coulis_index coulis_index;

typedef struct coulis_index_options {
    size_t size;
    int32_t threads;  /* 0 for all cores */
    int32_t reserved; /* 0 */
} coulis_index_options;

COULIS_API void coulis_index_options_init(coulis_index_options *options, size_t size);

/* An index of `rows` vectors of `cols` dimensions (1 to 4,194,304), which must outlive it and stay as they are.
 * Released with coulis_index_free. COULIS_NUMERIC on NaN or infinity (row named). Memory beyond the vectors: 8 bytes
 * for each. */
COULIS_API coulis_status coulis_index_create(const float *vectors, int64_t rows, int64_t cols,
                                             const coulis_index_options *options, coulis_index **index,
                                             coulis_error *error);
COULIS_API void coulis_index_free(coulis_index *index);

/* The k nearest vectors of each query.
 *
 *  queries      count x cols
 *  k            1 to the index's rows
 *  similarity   out: count x k of the caller's, in descending order
 *  row          out: count x k of the caller's; equally similar ones in ascending order
 *
 * Queries are worked through in batches, so that what is held beside the result stays at some 128 MiB. */
COULIS_API coulis_status coulis_index_search(coulis_index *index, const float *queries, int64_t count, int64_t k,
                                             float *similarity, int64_t *row, coulis_error *error);

/* All pairs with a similarity of at least `threshold`: of vectors first < second of one index, or, when `other` is not
 * NULL, of one of `index` and one of `other`. In ascending order of first, then second. Memory: up to 0.5 KiB for each
 * vector, and 48 bytes for each pair. Source of the bound that most pairs end with: the inequality of Cauchy and
 * Schwarz on what is left beside the first principal components; see src/index/filter.c.
 *
 * *pairs is released with coulis_pairs_free; the indexes may be released before. */
typedef struct coulis_pairs coulis_pairs;
COULIS_API coulis_status coulis_index_pairs(coulis_index *index, const coulis_index *other, double threshold,
                                            coulis_pairs **pairs, coulis_error *error);
COULIS_API void coulis_pairs_free(coulis_pairs *pairs);
COULIS_API int64_t coulis_pairs_count(const coulis_pairs *pairs);
COULIS_API const int64_t *coulis_pairs_first(const coulis_pairs *pairs);    /* count rows of `index` */
COULIS_API const int64_t *coulis_pairs_second(const coulis_pairs *pairs);   /* count rows of `other`, or of `index` */
COULIS_API const float *coulis_pairs_similarity(const coulis_pairs *pairs); /* count */

/* ---- sources: where images come from ---------------------------------------- */

/* One image of a source, before it is read. Texts belong to the source and live until its next item is asked for. */
typedef struct coulis_item {
    size_t size;               /* sizeof(coulis_item); set by the library */
    const char *name;          /* the row's path, unique or not; NULL: there are no more items */
    const char *label;         /* NULL: none */
    const char *const *values; /* one text, or NULL, for each of the source's columns; NULL: none of them */
    int64_t bytes;             /* of the file; -1: unknown */
    int64_t modified;          /* microseconds since 1970-01-01 00:00 UTC; INT64_MIN: unknown */
    int64_t key;               /* the source's own, to find the item again */
    int32_t now;               /* not 0: must be read before the next item is asked for, or not at all */
    int32_t reserved;
} coulis_item;

/* A source: a table of functions. The library has its own (coulis_source_open); a caller may fill in another and give
 * it to a job. `next` is called by one thread at a time. `read` is called for an item at most once: with `now` by the
 * thread that got the item, before the next one; else at any time, by several threads at once. Items that are not
 * wanted, because an earlier run has done them, are not read. No function is called after `close`. */
typedef struct coulis_source {
    size_t size;   /* sizeof(coulis_source) */
    void *context; /* first argument of every function */
    int64_t count; /* items; -1: not known before the last one */
    /* Names, unique and none that the result has itself, of further text columns; they live as long as the source. */
    const char *const *columns;
    int64_t column_count;
    /* A text that changes when the items or their contents do: a job is resumed only with the same one. Needed. */
    const char *identity;
    /* The next item into *item, which is set to "unknown" throughout before the call. Any status but COULIS_OK ends the
     * job, with the sentence of `error`, which is never NULL here; so does another number of items than `count`. */
    coulis_status (*next)(void *context, coulis_item *item, coulis_error *error);
    /* The item's bytes, at most `max_bytes` of them (more is COULIS_TOO_LARGE, none COULIS_EMPTY); may set item->bytes
     * and item->modified. A status from 1 to 5 becomes the row's status, with the sentence of `error`, which is never
     * NULL here; one from 10 on ends the job. */
    coulis_status (*read)(void *context, coulis_item *item, int64_t max_bytes, void **bytes, size_t *byte_count,
                          coulis_error *error);
    /* Releases what `read` gave. Of a read that failed there is nothing to release. */
    void (*release)(void *context, void *bytes);
    /* Releases the source itself; NULL: nothing to do. A job does not call it for a source of the caller. */
    void (*close)(void *context);
    /* How many items may be read at the same time: many where each waits for another machine; 0: two. At most 64. */
    int32_t readers;
    int32_t reserved; /* 0 */
    /* Has reads that are under way end soon: a job ends, and their items are not waited for. By any thread; NULL:
     * nothing to do. */
    void (*stop)(void *context);
} coulis_source;

typedef struct coulis_source_options {
    size_t size;
    /* Which folder is the label: "parent" (also NULL), "first", "none", or a level: "2" is the second folder below the
     * PATH, "0" the PATH itself, "-1" the parent, "-2" the one above it. */
    const char *label;
    const char *const *include; /* patterns of which one must match; none: everything */
    const char *const *exclude; /* patterns of which none may match */
    int64_t include_count, exclude_count;
    int32_t all_files;       /* not 0: take names that begin with a dot and system folders, too */
    int32_t zero_terminated; /* not 0: the paths of a list end with NUL instead of a newline */
    int32_t no_sign_request; /* not 0: read from S3 without keys, from buckets that are open to all */
    int32_t requester_pays;  /* not 0: the owner of the keys pays for what is read from S3 */
} coulis_source_options;

COULIS_API void coulis_source_options_init(coulis_source_options *options, size_t size);

/* The library's own source over `paths`, each as the command takes it: an image, a folder, a list, an archive, a table.
 * `output`: a folder that is passed over when it is among the images; NULL: none. COULIS_INVALID_ARGUMENT,
 * COULIS_MISSING or COULIS_IO when one of them cannot be had. Paths and options are copied. Released with
 * coulis_source_close. */
COULIS_API coulis_status coulis_source_open(const char *const *paths, int64_t count,
                                            const coulis_source_options *options, const char *output,
                                            coulis_source **source, coulis_error *error);
/* Whether what `name` stands for can be read here: 1 for a path of this machine and an address such as s3://bucket/key
 * whose scheme this library serves, whether it exists or not; else 0. */
COULIS_API int32_t coulis_source_serves(const char *name);

/* Writes the source's items, unread, to a table `path` that ends in .parquet or .csv: path, label, bytes, modified, and
 * the source's columns. It can be given to a job as a PATH. *items (may be NULL) gets their number. The file appears
 * whole or not at all. The source, which has been read to its end or to a fault then, is to be closed. */
COULIS_API coulis_status coulis_source_write(coulis_source *source, const char *path, int64_t *items,
                                             coulis_error *error);

/* What was left out so far of what a source's PATHs have below them. */
typedef struct coulis_source_info {
    size_t size;
    int64_t system;     /* files and folders of systems: thumbnails, trash, version control */
    int64_t hidden;     /* others whose names begin with a dot */
    int64_t excluded;   /* by patterns */
    int64_t unreadable; /* folders that could not be read; each has a row that says why */
} coulis_source_info;

COULIS_API void coulis_source_info_init(coulis_source_info *info, size_t size);
/* Of a source that coulis_source_open made. */
COULIS_API void coulis_source_describe(const coulis_source *source, coulis_source_info *info);

/* Tries what a job does in a place of S3, s3://BUCKET/PREFIX: finds keys and region, lists, reads one object if there
 * is one, writes one of its own and deletes it. `step` is called after each with its name and what was found, both
 * valid during the call only. The sentence of a failure says what to do. Uses no_sign_request and requester_pays. */
COULIS_API coulis_status coulis_check(const char *address, const coulis_source_options *options,
                                      void (*step)(void *context, const char *name, const char *text), void *context,
                                      coulis_error *error);

/* Of a source that coulis_source_open made; NULL is allowed. */
COULIS_API void coulis_source_close(coulis_source *source);

/* ---- jobs: what the command's verbs do ------------------------------------- */

typedef enum coulis_stage {
    COULIS_STAGE_LIST = 0,
    COULIS_STAGE_FEATURIZE = 1,
    COULIS_STAGE_FIT = 2,
    COULIS_STAGE_TRANSFORM = 3,
    COULIS_STAGE_TRANSFER = 4 /* of rows from S3 or to it, where the output is there */
} coulis_stage;

/* Given to a progress callback; later versions may add fields at the end. */
typedef struct coulis_progress {
    size_t size;
    int32_t stage; /* coulis_stage */
    int32_t reserved;
    int64_t done, total; /* images or rows of this stage; total -1: not known yet */
    int64_t resumed;     /* of `done`, how many an earlier run had finished */
    int64_t failed;      /* images without a vector so far */
    double seconds;      /* since this stage began */
} coulis_progress;

/* What a job is about to do where its folder of output holds an earlier result. */
typedef struct coulis_plan {
    size_t size;
    int64_t images;  /* in what was given */
    int64_t added;   /* that the earlier result has not */
    int64_t changed; /* that have another content now */
    int64_t failed;  /* without a vector then, and tried again */
    int64_t moved;   /* of a known content under a new path */
    int64_t touched; /* of which only the time of modification is another */
    int64_t gone;    /* rows of images that are not there any more */
    int64_t carried; /* images whose vectors are carried over, moved and touched ones among them */
} coulis_plan;

typedef struct coulis_job_options {
    size_t size;
    const char *model;                           /* name or file; default "efficientnet-lite0" */
    const coulis_featurizer_options *featurizer; /* NULL for the defaults; its threads are not used */
    double components;                           /* as in coulis_pca_options; default 0.99 */
    int64_t rows_per_file;                       /* default 10,000 */
    int32_t threads;                             /* 0: all cores */
    int32_t drop_features;                       /* not 0: keep only the reduced vectors */
    int32_t overwrite;                           /* not 0: start again */
    int32_t allow_other_recipe;                  /* not 0: transform also vectors of another recipe than the PCA's */
    /* Called from one thread at a time, a few times a second; returns not 0 to stop after the current part. May be
     * NULL. */
    int32_t (*progress)(void *context, const coulis_progress *progress);
    void *context;
    const coulis_source_options *choose; /* how paths are read; NULL: the defaults */
    const coulis_source *source;         /* read this, and no paths; NULL: read the paths */
    const char *pca;                     /* coulis_job_run: use the PCA in this file, fit none; NULL: fit */
    int32_t keep_pca;                    /* coulis_job_run: not 0: use the PCA of the result that is there, fit none */
    int32_t dry_run;                     /* run, apply and featurize: not 0: make the plan, and nothing else: the
                                          * result stays as it was set up, *json gets the plan */
    /* Called once, before the work, where there is an earlier result to compare with, or with dry_run. May be NULL. */
    void (*plan)(void *context, const coulis_plan *plan);
    /* Of coulis_job_run and coulis_job_featurize: make the vectors of one of `shards` equal shares, those of the files
     * number shard - 1, shard - 1 + shards, ..., for coulis_job_merge. 0 and 0: all. */
    int32_t shard, shards;
    /* Where the output is in S3: a folder of this machine for the work, which has room for all of the result. NULL: the
     * user's cache, $XDG_CACHE_HOME/coulis/work or ~/.cache/coulis/work. */
    const char *work;
} coulis_job_options;

COULIS_API void coulis_job_options_init(coulis_job_options *options, size_t size);

#define COULIS_RESULT_STATUSES 10 /* room for every image status: 0 to 9 */
#define COULIS_RESULT_STAGES 16   /* room for stages to come */

/* What a job did; also when an earlier run had done it already. */
typedef struct coulis_job_result {
    size_t size;
    int64_t images;                         /* rows, one per image */
    int64_t counts[COULIS_RESULT_STATUSES]; /* of `images`, by coulis_status */
    int64_t resumed;                        /* images whose vectors an earlier run had made */
    int64_t length;                         /* dimensions of a vector */
    int64_t components;                     /* dimensions after PCA; 0 without PCA */
    double explained_variance;              /* share of the total variance that the components explain */
    double error_bound;                     /* of that share, see coulis_pca_error_bound */
    double seconds[COULIS_RESULT_STAGES];   /* by coulis_stage; 0 for a stage that took no part */
    double total_seconds;
    double images_per_second; /* of the featurize stage, without what was resumed; 0 without it */
    int64_t not_images;       /* of the unsupported ones: those whose names are not of images either */
    int64_t left_out_system, left_out_hidden, left_out_excluded; /* as in coulis_source_info */
    int64_t folders_unreadable;
} coulis_job_result;

COULIS_API void coulis_job_result_init(coulis_job_result *result, size_t size);

/* The jobs below share these arguments:
 *
 *  result    out, may be NULL; set up by coulis_job_result_init
 *  json      out, may be NULL: the content of run.json, a JSON object with more than `result` has (recipe, versions,
 *            every explained variance); released with coulis_string_free, in which NULL is allowed
 *  error     COULIS_CONFLICT when the output holds the result of another recipe, COULIS_INTERRUPTED when the progress
 *            callback stopped the job: the same call resumes it
 *
 * What options point to (a source of the caller's, too) is used during the call only. What a job has written stays when
 * it fails, and is resumed; there is no `json` to release then.
 *
 * `output`, and every folder, PCA and file below that is read or written, may also be s3://BUCKET/PREFIX. The job then
 * works in a folder of this machine (`work`) and brings each file there when it is whole, run.json last.
 *
 * A complete result of the same recipe grows: where the images are others now, vectors are made only of those that are
 * new, have another size, time of modification and then SHA-256, or had none before; the other vectors are carried over
 * as they are. The result is, byte for byte, that of a job from nothing, and takes the place of the earlier one when it
 * is complete. It needs as much room on the disk again. */
COULIS_API void coulis_string_free(char *string);

/* The whole job: list `paths`, featurize, fit PCA, transform, write `output`. Where only one image has a vector, there
 * is not a PCA: the vector is written, and result->components is 0. A path is an image, a folder, or
 * @list.txt. */
COULIS_API coulis_status coulis_job_run(const char *const *paths, int64_t path_count, const char *output,
                                        const coulis_job_options *options, coulis_job_result *result, char **json,
                                        coulis_error *error);

/* The same with the components of an earlier job and exactly the network and preprocessing that its PCA's recipe names:
 * those of `options` are not used. The network is looked for by its name and must have the same SHA-256.
 *
 *  pca   a file, or a folder that holds pca.safetensors
 *
 * result->explained_variance is the share of these images' variance that the components keep. COULIS_BAD_DATA when the
 * PCA has no recipe, as files of versions before 0.2 have none. */
COULIS_API coulis_status coulis_job_apply(const char *const *paths, int64_t path_count, const char *pca,
                                          const char *output, const coulis_job_options *options,
                                          coulis_job_result *result, char **json, coulis_error *error);

/* Vectors only: writes output/features and output/run.json. */
COULIS_API coulis_status coulis_job_featurize(const char *const *paths, int64_t path_count, const char *output,
                                              const coulis_job_options *options, coulis_job_result *result, char **json,
                                              coulis_error *error);

/* Puts the shards of one job, all of them, together and does the rest of it: the files are those that one machine
 * would have written. Uses `threads`, `overwrite` and `progress`. COULIS_MISSING when a shard is, COULIS_CONFLICT when
 * one is of another job. */
COULIS_API coulis_status coulis_job_merge(const char *const *folders, int64_t folder_count, const char *output,
                                          const coulis_job_options *options, coulis_job_result *result, char **json,
                                          coulis_error *error);

/* PCA of the vectors in `input` (a folder that featurize or run wrote), saved as the file `output`. Uses
 * `components`, `threads`, `overwrite` and `progress`. */
COULIS_API coulis_status coulis_job_fit(const char *input, const char *output, const coulis_job_options *options,
                                        coulis_job_result *result, char **json, coulis_error *error);

/* Scores of the vectors in `input` by the PCA in the file `pca`, written to output/reduced. Uses `threads`,
 * `overwrite` and `progress`. */
COULIS_API coulis_status coulis_job_transform(const char *input, const char *pca, const char *output,
                                              const coulis_job_options *options, coulis_job_result *result, char **json,
                                              coulis_error *error);

/* Holds the finished result in `output` (of run, featurize or transform) against its own run.json: every file is there
 * with its size, SHA-256, rows, recipe and place, and none besides; run.json itself is as it was written.
 * COULIS_BAD_DATA or COULIS_CONFLICT with a sentence that names the first difference; COULIS_MISSING when there is no
 * run.json.
 *
 *  json   out, may be NULL: a JSON object with files, rows and bytes; released with coulis_string_free */
COULIS_API coulis_status coulis_job_verify(const char *output, char **json, coulis_error *error);

/* ---- collections: from vectors to answers ----------------------------------- */

/* The functions below work on a folder that coulis_job_run or coulis_job_featurize wrote. They change nothing in it.
 * Similarity is that of coulis_index. A file they write appears whole or not at all, and replaces one of the same name.
 * *summary (out, may be NULL) is a JSON object, released with coulis_string_free. */

typedef enum coulis_what { COULIS_WHAT_FEATURES = 0, COULIS_WHAT_PCA = 1 } coulis_what;
/* What places images on the map of a report: COULIS_MAP_PCA here, the others by way of the Python package. */
typedef enum coulis_map { COULIS_MAP_PCA = 0, COULIS_MAP_UMAP = 1, COULIS_MAP_TSNE = 2 } coulis_map;
typedef enum coulis_dtype { COULIS_DTYPE_FLOAT32 = 0, COULIS_DTYPE_FLOAT16 = 1 } coulis_dtype;

typedef struct coulis_collection_options {
    size_t size;
    int32_t threads;   /* 0: all cores */
    int32_t what;      /* coulis_what, for coulis_export */
    int32_t dtype;     /* coulis_dtype, for coulis_export */
    int32_t normalize; /* not 0: vectors of length 1, for coulis_export */
    int64_t k;         /* images to find, or clusters; default 10 */
    double threshold;  /* similarity from which images are duplicates, -1 to 1; default 0.98 */
    int64_t seed;      /* of the first centres of k-means; default 1 */
    int64_t max_bytes; /* of a report; default 40,000,000 */
    /* Where images are on the map of a report: `rows` vectors of `cols` dimensions to x and y of each. Anything but 0
     * ends coulis_view with COULIS_INTERRUPTED. NULL: the first two principal components. */
    int32_t (*map)(void *context, const float *vectors, int64_t rows, int64_t cols, float *xy);
    void *map_context;
    const char *map_name; /* what the report calls it, such as "UMAP" */
    int32_t fixed_size;   /* not 0: coulis_export tells Arrow that lists in a .parquet have a fixed size */
    /* As in coulis_source_options, for queries and thumbnails of images in S3. */
    int32_t no_sign_request, requester_pays;
    int32_t no_thumbnails; /* not 0: coulis_view reads no images */
    /* Told in a sentence how many images have no thumbnail, as they are gone or cannot be read, and why the first of
     * them. NULL: nobody is told. */
    void (*warn)(void *context, const char *sentence);
    void *warn_context;
} coulis_collection_options;

COULIS_API void coulis_collection_options_init(coulis_collection_options *options, size_t size);

/* The images nearest to the mean of some queries. A query is the path of a row, a row's number, or else an image file
 * or address (http, https, s3), which goes through the network and preprocessing that the vectors come from. Queries
 * that are rows are not among the result.
 *
 *  options   k, threads, no_sign_request, requester_pays
 *  json      out: [{"row": 5, "path": "...", "label": "...", "similarity": 0.93}, ...], the nearest first; released
 *            with coulis_string_free
 *
 * Memory: paths and labels of all rows, and vectors a row group at a time. */
COULIS_API coulis_status coulis_search(const char *folder, const char *const *queries, int64_t query_count,
                                       const coulis_collection_options *options, char **json, coulis_error *error);

/* What coulis_search found as a page to look at: an HTML file with a thumbnail of each image, its similarity, label and
 * path, which opens without a network. The images are read again, from wherever they are. Where one of them cannot be
 * had, its place is grey and options->warn is told; where no server answers, or there are no keys, COULIS_IO. Uses
 * threads, no_sign_request, requester_pays, warn.
 *
 *  matches   the JSON of coulis_search
 *  title     NULL: "search" */
COULIS_API coulis_status coulis_contact_sheet(const char *matches, const char *title, const char *output,
                                              const coulis_collection_options *options, coulis_error *error);

/* Groups of duplicates: images whose files have the same SHA-256, and all pairs of vectors with a similarity of at
 * least the threshold, joined to connected components. With `against` (NULL for none), pairs of one image of `folder`
 * and one of `against`. Deletes nothing.
 *
 *  output    a .parquet or .csv of group, path, keep (the best of its group: the largest image, then the most bytes,
 *            then the first path), similarity (to the best; null without a vector), kind ("best"; "file": the same
 *            bytes; "pixels": the same vector; "similar"), label and, with `against`, collection
 *  options   threshold, threads
 *  summary   counts by label, and of groups across labels
 *
 * Memory: all vectors, and for each some 0.5 KiB more. */
COULIS_API coulis_status coulis_dedup(const char *folder, const char *against, const char *output,
                                      const coulis_collection_options *options, char **summary, coulis_error *error);

/* k-means: writes clusters.parquet (path, cluster, distance, label) into the folder `output`, NULL for `folder` itself.
 * Clusters are numbered from 0, the largest first. Uses k, seed, threads. Source of the method: Lloyd, Least squares
 * quantization in PCM, 1982, from the centres of Arthur and Vassilvitskii, k-means++, 2007, with the bounds of
 * Hamerly, Making k-means even faster, 2010. */
COULIS_API coulis_status coulis_cluster(const char *folder, const char *output,
                                        const coulis_collection_options *options, char **summary, coulis_error *error);

/* Vectors as a .npy (a matrix of the rows that have a vector, in order), .csv or .parquet (path, label and the vector,
 * of the same rows). Uses what, normalize, dtype, fixed_size, threads. */
COULIS_API coulis_status coulis_export(const char *folder, const char *output, const coulis_collection_options *options,
                                       char **summary, coulis_error *error);

/* A report: one HTML file that opens offline, with a map of the images, thumbnails, neighbours, duplicates, failures,
 * explained variance and the recipe. At most 20,000 images are shown, spread evenly. Uses threshold, seed, max_bytes,
 * threads, map, no_sign_request, requester_pays, no_thumbnails, warn. The images are read again for their thumbnails,
 * as by coulis_contact_sheet. */
COULIS_API coulis_status coulis_view(const char *folder, const char *output, const coulis_collection_options *options,
                                     char **summary, coulis_error *error);

#ifdef __cplusplus
}
#endif
#endif
