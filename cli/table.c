#include "table.h"

#include <stdlib.h>

#define AT(field) offsetof(cli_options, field)

const char cli_about[] = "coulis turns images into feature vectors, reduces them with PCA and writes Parquet.";

const char cli_paths[] =
    "PATH is an image; a folder (searched recursively); @list.txt or @- (a list of paths, one per line; - is standard "
    "input); a .tar, .tar.gz, .tgz or .zip; a .parquet with a column of images or of paths; a .csv or .tsv with a "
    "header (path, label and further columns); a .jsonl or .ndjson with such an object in each line; an "
    "http:// or https:// address of one of these; s3://BUCKET/PREFIX (s3a, s3n). A file whose own name begins with @ "
    "or - is given as ./@name. After -- everything is a PATH.";

const char cli_exit_codes[] =
    "0 done; 1 failed; 2 usage; 3 done, some images unreadable; 130 interrupted, can be resumed.";

const char cli_environment[] =
    "COULIS_MODELS names a folder of models that is searched first. COULIS_CPU (scalar, avx2, avx512, neon) uses a "
    "lower instruction set than the processor's. COULIS_PYTHON names the Python that has the package coulis, for "
    "'models add', 'models get', 'search --text' and 'view --map'.";

static bool add_pattern(const char **patterns, const char *const **field, int64_t *count, const char *text) {
    if (!*text) {
        cli_usage("a pattern must not be empty");
        return false;
    }
    patterns[(*count)++] = text;
    *field = patterns;
    return true;
}

static bool cli_set_include(cli_options *options, const char *text) {
    return add_pattern(options->include, &options->choose.include, &options->choose.include_count, text);
}

static bool cli_set_exclude(cli_options *options, const char *text) {
    return add_pattern(options->exclude, &options->choose.exclude, &options->choose.exclude_count, text);
}

static bool cli_set_shard(cli_options *options, const char *text) {
    char *end;
    const long shard = strtol(text, &end, 10), shards = *end == '/' ? strtol(end + 1, &end, 10) : 0;
    if (*end || shard < 1 || shard > shards || shards > 100000) {
        cli_usage("--shard %s: must be I/N, such as 2/8: the second of eight shares", text);
        return false;
    }
    options->job.shard = (int32_t)shard;
    options->job.shards = (int32_t)shards;
    return true;
}

/* An entry in few lines, so that the tables can be read as such: */
/* clang-format off */
const cli_verb cli_verbs[] = {
    {.name = "run", .bit = CLI_RUN, .arguments = "PATH... -o DIR",
     .summary = "the whole job: featurize, fit PCA, transform, write",
     .details = "Writes DIR/features, DIR/reduced, DIR/pca.safetensors and DIR/run.json. An unfinished DIR of the same "
                "recipe is resumed by the same command. Where images were added, changed or removed since, only what "
                "is new or changed is computed, and the result is that of a run from nothing.",
     .example = "coulis run photos -o out\ncoulis run photos more.jpg @list.txt -o out -k 128 --model resnet50\n"
                "coulis run photos -o out --dry-run",
     .paths_min = 1, .paths_max = -1, .values = CLI_FILES, .run = cli_run},
    {.name = "featurize", .bit = CLI_FEATURIZE, .arguments = "PATH... -o DIR", .summary = "vectors only",
     .details = "Writes DIR/features and DIR/run.json.",
     .example = "coulis featurize photos -o vectors --features map",
     .paths_min = 1, .paths_max = -1, .values = CLI_FILES, .run = cli_featurize},
    {.name = "list", .bit = CLI_LIST, .arguments = "PATH... -o FILE",
     .summary = "what would be read, as a table: path, label, bytes, modified",
     .details = "FILE ends in .parquet or .csv. It can be given as a PATH later, and to Spark.",
     .example = "coulis list photos -o photos.parquet\ncoulis run photos.parquet -o out",
     .paths_min = 1, .paths_max = -1, .values = CLI_FILES, .run = cli_list},
    {.name = "fit", .bit = CLI_FIT, .arguments = "DIR -o PCA", .summary = "PCA of vectors already written",
     .details = "DIR is a folder that run or featurize wrote, or any Parquet with a column of vectors.",
     .example = "coulis fit vectors -o pca.safetensors -k 0.95",
     .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_fit},
    {.name = "transform", .bit = CLI_TRANSFORM, .arguments = "DIR --pca PCA -o DIR2",
     .summary = "vectors already written, reduced by an existing PCA",
     .details = "Writes DIR2/reduced and DIR2/run.json.",
     .example = "coulis transform vectors --pca pca.safetensors -o reduced",
     .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_transform},
    {.name = "merge", .bit = CLI_MERGE, .arguments = "DIR... -o DIR", .summary = "the shards of a job, put together",
     .details = "Each DIR was written by run or featurize --shard I/N on the same images. The result is that of one "
                "machine: the same files with the same bytes. The PCA is fitted here.",
     .example = "coulis run photos -o share1 --shard 1/2\ncoulis run photos -o share2 --shard 2/2\n"
                "coulis merge share1 share2 -o out",
     .paths_min = 1, .paths_max = -1, .values = CLI_FOLDERS, .run = cli_merge},
    {.name = "verify", .bit = CLI_VERIFY, .arguments = "DIR", .summary = "every digest, row and recipe of a result",
     .details = "DIR is a finished result of run, featurize or transform. Exit code 1 with a sentence that names the "
                "first difference from what was written.",
     .example = "coulis verify out", .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_verify},
    {.name = "check", .bit = CLI_CHECK, .arguments = "s3://BUCKET/PREFIX",
     .summary = "lists, reads, writes and deletes one object there",
     .details = "A line for each step, and for the one that fails a sentence on what to do. Keys, region and server "
                "are found as by Amazon's own tools: the environment, ~/.aws, or the role of the machine.",
     .example = "coulis check s3://bucket/photos", .paths_min = 1, .paths_max = 1, .values = CLI_ANYTHING,
     .run = cli_check},
    {.name = "apply", .bit = CLI_APPLY, .arguments = "PATH... --pca PCA -o DIR",
     .summary = "new images by the network and PCA of a run",
     .details = "PCA is a folder that run wrote, or the file of a PCA. It says which network and preprocessing its "
                "vectors come from. The summary says how much of these images' variance the components keep.",
     .example = "coulis apply new-photos --pca out -o new-out",
     .paths_min = 1, .paths_max = -1, .values = CLI_FILES, .run = cli_apply},
    {.name = "search", .bit = CLI_SEARCH, .arguments = "DIR QUERY... [-k N]", .summary = "the images nearest to others",
     .details = "QUERY is a path as the column path has it, the number of a row, another image file or an address. "
                "Several stand for their mean. DIR is a folder that run or featurize wrote. Where its network has "
                "texts, too (CLIP, SigLIP), --text says in words what to look for; the Python package coulis does "
                "that.",
     .example = "coulis search out photos/apple.jpg -k 5\ncoulis search out photos/apple.jpg -k 50 -o apples.html\n"
                "coulis search out --text \"a red apple\"",
     .paths_min = 1, .paths_max = -1, .values = CLI_FILES, .run = cli_search},
    {.name = "dedup", .bit = CLI_DEDUP, .arguments = "DIR [--against DIR2] -o FILE",
     .summary = "groups of identical and nearly identical images",
     .details = "Writes group, path, keep, similarity, kind and label of every image that has a duplicate, the best of "
                "each group first. Deletes nothing.",
     .example = "coulis dedup out -o duplicates.csv\ncoulis dedup test --against train --threshold 0.95 -o leaks.csv",
     .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_dedup},
    {.name = "cluster", .bit = CLI_CLUSTER, .arguments = "DIR -k N [-o DIR2]", .summary = "k-means of the vectors",
     .details = "Writes clusters.parquet: path, cluster, distance and label.",
     .example = "coulis cluster out -k 20",
     .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_cluster},
    {.name = "export", .bit = CLI_EXPORT, .arguments = "DIR -o FILE", .summary = "vectors as .npy, .csv or .parquet",
     .details = "Rows without a vector are skipped. A .npy is the matrix alone.",
     .example = "coulis export out -o vectors.npy --normalize",
     .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_export},
    {.name = "view", .bit = CLI_VIEW, .arguments = "DIR -o FILE.html", .summary = "a report to open in a browser",
     .details = "One file that needs no network: map, thumbnails, neighbours, duplicates, failures, explained variance "
                "and recipe.",
     .example = "coulis view out -o report.html\ncoulis view out -o report.html --map umap",
     .paths_min = 1, .paths_max = 1, .values = CLI_FOLDERS, .run = cli_view},
    {.name = "models list", .bit = CLI_MODELS_LIST, .arguments = "", .summary = "the networks available here",
     .example = "coulis models list --speed", .run = cli_models_list},
    {.name = "models show", .bit = CLI_MODELS_SHOW, .arguments = "NAME", .summary = "size, source and licence of one",
     .example = "coulis models show efficientnet-lite0", .paths_min = 1, .paths_max = 1, .values = CLI_MODELS,
     .run = cli_models_show},
    {.name = "models path", .bit = CLI_MODELS_PATH, .arguments = "NAME", .summary = "the file of one",
     .example = "coulis models path efficientnet-lite0", .paths_min = 1, .paths_max = 1, .values = CLI_MODELS,
     .run = cli_models_path},
    {.name = "models add", .bit = CLI_MODELS_ADD, .arguments = "FILE --name NAME --from keras|torch|onnx",
     .summary = "convert a network of your own",
     .details = "FILE is a .keras or .h5 of Keras, a .pth, .safetensors or wheel with one .pth of PyTorch, or an "
                ".onnx. Done by the Python package coulis.",
     .example = "coulis models add trained.pth --name mine --from torch", .paths_min = 1, .paths_max = 1,
     .values = CLI_FILES, .module = "coulis.convert"},
    {.name = "models get", .bit = CLI_MODELS_GET, .arguments = "[NAME]",
     .summary = "download published weights; without NAME: list them",
     .details = "Done by the Python package coulis.", .example = "coulis models get resnet50", .paths_max = 1,
     .module = "coulis.convert"},
    {.name = "bench", .bit = CLI_BENCH, .arguments = "", .summary = "speed of the network alone, on decoded input",
     .example = "coulis bench --model resnet50 --random-weights --threads 4", .run = cli_bench},
    {.name = "completion", .bit = CLI_COMPLETION, .arguments = "bash|zsh|fish",
     .summary = "completions for a shell, on standard output",
     .example = "coulis completion bash > ~/.local/share/bash-completion/completions/coulis", .paths_min = 1,
     .paths_max = 1, .values = CLI_SHELLS, .run = cli_completion},
    {.name = "version", .bit = CLI_VERSION, .arguments = "", .summary = "version and instruction set",
     .example = "coulis version", .run = cli_version},
    {.name = "help", .bit = CLI_HELP, .arguments = "[COMMAND]", .summary = "options and an example of a command",
     .example = "coulis help run", .paths_max = 2, .values = CLI_VERBS, .run = cli_help},
    {.name = NULL},
};

/* For each verb, help lists its options in this order. */
const cli_option cli_table[] = {
    {"output", 'o', CLI_RESULT, AT(output), CLI_IMAGES | CLI_APPLY | CLI_TRANSFORM | CLI_MERGE, .required = true,
     .value = "DIR",
     .values = CLI_FOLDERS, .help = "folder of the result, here or s3://BUCKET/PREFIX"},
    {"output", 'o', CLI_TEXT, AT(output), CLI_FIT, .required = true, .value = "PCA", .values = CLI_FILES,
     .help = "file to write the PCA to, here or in S3"},
    {"output", 'o', CLI_TEXT, AT(output), CLI_LIST, .required = true, .value = "FILE", .values = CLI_FILES,
     .help = "file to write the list to"},
    {"output", 'o', CLI_TEXT, AT(output), CLI_DEDUP, .required = true, .value = "FILE", .values = CLI_FILES,
     .help = "file to write the groups to: .parquet or .csv"},
    {"output", 'o', CLI_RESULT, AT(output), CLI_CLUSTER, .value = "DIR2", .values = CLI_FOLDERS,
     .help = "folder for clusters.parquet", .initial = "DIR"},
    {"output", 'o', CLI_TEXT, AT(output), CLI_EXPORT, .required = true, .value = "FILE", .values = CLI_FILES,
     .help = "file to write: .npy, .csv or .parquet"},
    {"output", 'o', CLI_TEXT, AT(output), CLI_VIEW, .required = true, .value = "FILE", .values = CLI_FILES,
     .help = "file to write the report to"},
    {"against", 0, CLI_TEXT, AT(against), CLI_DEDUP, .value = "DIR2", .values = CLI_FOLDERS,
     .help = "find images of DIR that DIR2 has too, instead of those that DIR has twice"},
    {"output", 'o', CLI_TEXT, AT(output), CLI_SEARCH, .value = "FILE", .values = CLI_FILES,
     .help = "what is found as a page of thumbnails, .html"},
    {"text", 0, CLI_TEXT, AT(text), CLI_SEARCH, .value = "WORDS", .help = "look for what these words say"},
    {"count", 'k', CLI_INT64, AT(collection.k), CLI_SEARCH, .value = "N", .help = "how many images", .low = 1,
     .high = 1000000},
    {"clusters", 'k', CLI_INT64, AT(collection.k), CLI_CLUSTER, .required = true, .value = "N",
     .help = "how many clusters", .low = 1, .high = 1000000},
    {"seed", 0, CLI_INT64, AT(collection.seed), CLI_CLUSTER, .value = "N", .help = "of the first centres", .low = 0,
     .high = 1e15},
    {"threshold", 0, CLI_REAL, AT(collection.threshold), CLI_DEDUP | CLI_VIEW, .value = "F",
     .help = "similarity from which images are duplicates", .low = -1, .high = 1},
    {"what", 0, CLI_WORD, AT(collection.what), CLI_EXPORT, .help = "the vectors, or what PCA reduced them to"},
    {"normalize", 0, CLI_FLAG, AT(collection.normalize), CLI_EXPORT, .help = "vectors of length 1"},
    {"dtype", 0, CLI_WORD, AT(collection.dtype), CLI_EXPORT, .help = "of the numbers"},
    {"fixed-size", 0, CLI_FLAG, AT(collection.fixed_size), CLI_EXPORT,
     .help = "in a .parquet: lists that Arrow reads as of a fixed size"},
    {"map", 0, CLI_WORD, AT(map), CLI_VIEW,
     .help = "what places the images; umap and tsne need the Python packages umap-learn and scikit-learn"},
    {"max-size", 0, CLI_REAL, AT(megabytes), CLI_VIEW, .value = "MB",
     .help = "size limit of the report in megabytes; thumbnails get smaller to fit", .initial = "40", .low = 1,
     .high = 2000},
    {"no-thumbnails", 0, CLI_FLAG, AT(collection.no_thumbnails), CLI_VIEW, .help = "read no images"},
    {"no-sign-request", 0, CLI_FLAG, AT(collection.no_sign_request), CLI_VIEW | CLI_SEARCH,
     .help = "read images of s3:// without keys, from buckets that are open to all"},
    {"requester-pays", 0, CLI_FLAG, AT(collection.requester_pays), CLI_VIEW | CLI_SEARCH,
     .help = "the owner of the keys pays for the images that are read from s3://"},
    {"threads", 0, CLI_INT32, AT(collection.threads), CLI_COLLECTIONS, .value = "N", .help = "threads",
     .initial = "all cores", .low = 1, .high = 1024},
    {"pca", 0, CLI_TEXT, AT(pca), CLI_APPLY, .required = true, .value = "PCA", .values = CLI_FILES,
     .help = "folder of a run, or file of a PCA"},
    {"pca", 0, CLI_TEXT, AT(pca), CLI_TRANSFORM, .required = true, .value = "PCA", .values = CLI_FILES,
     .help = "PCA file that fit wrote, or the pca.safetensors of a run"},
    {"model", 0, CLI_TEXT, AT(job.model), CLI_IMAGES | CLI_BENCH, .value = "NAME|FILE", .values = CLI_MODELS,
     .help = "network"},
    {"features", 0, CLI_WORD, AT(featurizer.features), CLI_IMAGES | CLI_BENCH,
     .help = "averaged vector; feature map, flattened; class scores; class token; mean of the patches; all tokens; "
             "vector shared with texts; the one the network's publisher calls the embedding"},
    {"components", 'k', CLI_COMPONENTS, AT(job.components), CLI_RUN | CLI_FIT, .value = "N|F",
     .help = "number of components, or share of the variance to reach, 0 < F < 1"},
    {"resize", 0, CLI_WORD, AT(image.resize), CLI_IMAGES,
     .help = "to the network's size at once; the shorter side and then the centre; or as its publisher does"},
    {"orient", 0, CLI_WORD, AT(image.orient), CLI_IMAGES, .help = "EXIF orientation"},
    {"alpha", 0, CLI_WORD, AT(image.alpha), CLI_IMAGES, .help = "transparency: drop it, or put the image on white"},
    {"like", 0, CLI_CALL, 0, CLI_IMAGES, .value = "pillow", .set = cli_set_like,
     .help = "--orient ignore --alpha drop; options behind it still count"},
    {"truncated", 0, CLI_WORD, AT(image.truncated), CLI_IMAGES,
     .help = "an image cut short: refuse it, or keep the rows that are there"},
    {"max-pixels", 0, CLI_INT64, AT(image.max_pixels), CLI_IMAGES, .value = "N",
     .help = "width times height at most", .low = 1, .high = 1e15},
    {"max-bytes", 0, CLI_INT64, AT(image.max_bytes), CLI_IMAGES, .value = "N",
     .help = "bytes of an image file at most", .low = 1, .high = 1e15},
    {"depth", 0, CLI_WORD, AT(image.depth), CLI_IMAGES,
     .help = "grey of more than 8 bits: all above 255 is white, as in Pillow, or scaled to 8 bits"},
    {"cmyk", 0, CLI_WORD, AT(image.cmyk), CLI_IMAGES, .help = "by a plain formula, or through the embedded profile"},
    {"decode", 0, CLI_WORD, AT(image.decode), CLI_IMAGES,
     .help = "fast: large JPEGs at a fraction of their size; changes pixels a little"},
    {"precision", 0, CLI_WORD, AT(featurizer.precision), CLI_IMAGES | CLI_BENCH,
     .help = "of products in the network; lower ones change vectors a little"},
    {"include", 0, CLI_CALL, 0, CLI_PATHS, .value = "GLOB", .set = cli_set_include,
     .help = "take only files that match; may be repeated. * stops at a slash, ** does not"},
    {"exclude", 0, CLI_CALL, 0, CLI_PATHS, .value = "GLOB", .set = cli_set_exclude,
     .help = "leave out files and folders that match; may be repeated"},
    {"all-files", 0, CLI_FLAG, AT(choose.all_files), CLI_PATHS,
     .help = "take hidden files and folders of the system (@eaDir, __MACOSX, lost+found ...), too"},
    {"label", 0, CLI_TEXT, AT(choose.label), CLI_PATHS, .value = "parent|first|none|LEVEL", .initial = "parent",
     .help = "which folder is the label; LEVEL 2 is the second below PATH, -2 the one above the parent"},
    {"null", '0', CLI_FLAG, AT(choose.zero_terminated), CLI_PATHS, .help = "NUL between the paths of a list"},
    {"no-sign-request", 0, CLI_FLAG, AT(choose.no_sign_request), CLI_PATHS | CLI_CHECK,
     .help = "read s3:// without keys, from buckets that are open to all"},
    {"requester-pays", 0, CLI_FLAG, AT(choose.requester_pays), CLI_PATHS | CLI_CHECK,
     .help = "the owner of the keys pays for what is read from s3://"},
    {"dry-run", 0, CLI_FLAG, AT(dry_run), CLI_IMAGES,
     .help = "say what would be read, by kind and label, and what of it is new, changed or gone; do nothing"},
    {"keep-pca", 0, CLI_FLAG, AT(job.keep_pca), CLI_RUN,
     .help = "reduce by the PCA of the existing result, instead of fitting a new one"},
    {"threads", 0, CLI_INT32, AT(job.threads), CLI_JOBS | CLI_BENCH, .value = "N", .help = "threads",
     .initial = "all cores", .low = 1, .high = 1024},
    {"rows-per-file", 0, CLI_INT64, AT(job.rows_per_file), CLI_IMAGES | CLI_APPLY, .value = "N",
     .help = "rows in a Parquet file",
     .low = 1, .high = 100000000},
    {"shard", 0, CLI_CALL, 0, CLI_IMAGES, .value = "I/N", .set = cli_set_shard,
     .help = "make the vectors of one of N shares, file by file; merge puts them together"},
    {"drop-features", 0, CLI_FLAG, AT(job.drop_features), CLI_RUN | CLI_APPLY, .help = "keep only the reduced vectors"},
    {"overwrite", 0, CLI_FLAG, AT(job.overwrite), CLI_JOBS,
     .help = "start again; without it, an unfinished result of the same recipe is resumed"},
    {"work", 0, CLI_TEXT, AT(job.work), CLI_IMAGES | CLI_APPLY | CLI_TRANSFORM | CLI_MERGE, .value = "FOLDER",
     .values = CLI_FOLDERS, .initial = "~/.cache/coulis/work",
     .help = "where a job works whose DIR is in S3: a folder here with room for the result"},
    {"allow-other-recipe", 0, CLI_FLAG, AT(job.allow_other_recipe), CLI_TRANSFORM,
     .help = "transform also vectors of another recipe than those the PCA was fitted to"},
    {"strict", 0, CLI_FLAG, AT(strict), CLI_IMAGES | CLI_APPLY, .help = "exit 1 when any image failed"},
    {"random-weights", 0, CLI_FLAG, AT(random_weights), CLI_BENCH,
     .help = "seeded weights, for a network whose graph is available but not its weights"},
    {"seconds", 0, CLI_REAL, AT(seconds), CLI_BENCH, .value = "S", .help = "how long to measure", .low = 0.1,
     .high = 3600},
    {"speed", 0, CLI_FLAG, AT(speed), CLI_MODELS_LIST, .help = "measure each network for half a second"},
    {"name", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .required = true, .value = "NAME", .help = "what to call the network"},
    {"from", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .required = true, .value = "keras|torch|onnx",
     .help = "what wrote FILE"},
    {"layout", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "RECIPE",
     .help = "the known network whose layout FILE has, where its tensors do not tell"},
    {"config", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "FILE", .values = CLI_FILES,
     .help = "Hugging Face's or timm's config.json or preprocessor_config.json, read by itself when beside FILE"},
    {"entry", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "KEY",
     .help = "torch: the entry of the file that holds the weights, where several could"},
    {"tokenizer", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "FILE", .values = CLI_FILES,
     .help = "torch: the tokenizer.json of CLIP's and SigLIP's texts, read by itself when beside FILE"},
    {"preprocessing", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "KIND",
     .help = "how images are prepared, in Keras' words; for keras and torch the layout's own when left out"},
    {"channels", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "RGB|BGR", .help = "order of the colours"},
    {"mean", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "X Y Z", .help = "the network sees (x - mean) / std"},
    {"std", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "X Y Z", .help = "see --mean; x is from 0 to 255"},
    {"width", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "PIXELS", .help = "of the images that it is to see"},
    {"height", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "PIXELS", .help = "of the images that it is to see"},
    {"map", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "TENSOR", .help = "onnx: the tensor of the feature map"},
    {"pooled", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "TENSOR", .help = "onnx: the tensor of the pooled features"},
    {"logits", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "TENSOR", .help = "onnx: the tensor of the class scores"},
    {"source", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "TEXT", .help = "where the weights come from"},
    {"licence", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .value = "TEXT", .help = "of the weights"},
    {"no-check", 0, CLI_PASSED, 0, CLI_MODELS_ADD, .help = "do not open the result with the library"},
    {"url", 0, CLI_PASSED, 0, CLI_MODELS_GET, .value = "URL", .help = "another address of the same file"},
    {"folder", 0, CLI_PASSED, 0, CLI_MODELS_ADD | CLI_MODELS_GET, .value = "DIR", .values = CLI_FOLDERS,
     .help = "where to put it, instead of COULIS_MODELS or the user's cache"},
    {"overwrite", 0, CLI_PASSED, 0, CLI_MODELS_ADD | CLI_MODELS_GET, .help = "replace a network of this name"},
    {"quiet", 0, CLI_PASSED, 0, CLI_MODELS_GET, .help = "no messages and no progress"},
    {"json", 0, CLI_FLAG, AT(json),
     CLI_JOBS | CLI_VERIFY | CLI_COLLECTIONS | CLI_MODELS_LIST | CLI_MODELS_SHOW | CLI_BENCH,
     .help = "the summary, list or measurement as JSON on standard output"},
    {"quiet", 0, CLI_FLAG, AT(quiet), CLI_JOBS | CLI_VERIFY | CLI_COLLECTIONS,
     .help = "no summary and no progress; failures are still reported"},
    {"no-progress", 0, CLI_FLAG, AT(no_progress), CLI_JOBS, .help = "no progress"},
    {"man", 0, CLI_FLAG, AT(man), CLI_HELP, .help = "the manual page, in roff"},
    {"json", 0, CLI_FLAG, AT(json), CLI_HELP, .help = "all commands and options as JSON"},
    {.name = NULL},
};
/* clang-format on */

void cli_defaults(cli_options *options) {
    *options = (cli_options){.seconds = 5, .megabytes = 40};
    coulis_collection_options_init(&options->collection, sizeof options->collection);
    coulis_job_options_init(&options->job, sizeof options->job);
    coulis_featurizer_options_init(&options->featurizer, sizeof options->featurizer);
    coulis_image_options_init(&options->image, sizeof options->image);
    coulis_source_options_init(&options->choose, sizeof options->choose);
    options->job.choose = &options->choose;
    options->job.featurizer = &options->featurizer;
    options->featurizer.image = &options->image;
}
