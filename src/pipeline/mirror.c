#include "pipeline/mirror.h"

#include "base/files.h"
#include "base/folder.h"
#include "pipeline/bucket.h"
#include "pipeline/clock.h"

#define RUN_JSON_MAX ((int64_t)256 << 20)

struct cl_mirror {
    const coulis_job_options *options;
    cl_bucket bucket;
    char *address;       /* as given, without slashes at its end */
    char *work, *folder; /* the working folder, and that of the job in it */
    int lock;
    char token[CL_RANDOM_NAME]; /* the name by which run.json in the bucket knows the working folder */
    bool behind;                /* the bucket has what is still to be brought here */
    bool finished;              /* all is in the bucket */
    cJSON *recipe;              /* of the job, once it has begun, and */
    char *root;
};

static coulis_status no_memory(const cl_mirror *m, coulis_error *error) {
    return cl_fail_memory(error, m->address ? m->address : "an address", 0);
}

static char *in_work(const cl_mirror *m, const char *name) { return cl_format("%s/%s", m->work, name); }

/* The text of a file in the working folder; NULL when there is none. */
static coulis_status read_text(const cl_mirror *m, const char *name, char **text, coulis_error *error) {
    uint8_t *bytes = NULL;
    size_t size;
    char *path = in_work(m, name);
    *text = NULL;
    if (!path) return no_memory(m, error);
    coulis_status status = cl_file_read(path, RUN_JSON_MAX, &bytes, &size, error);
    cl_free(path);
    if (!status) *text = (char *)bytes;
    return status == COULIS_MISSING ? COULIS_OK : status;
}

static coulis_status write_text(const cl_mirror *m, const char *name, const char *text, coulis_error *error) {
    char *path = in_work(m, name);
    coulis_status status = path ? cl_file_write(path, text, strlen(text), error) : no_memory(m, error);
    cl_free(path);
    return status;
}

/* ---- opening ---- */

static coulis_status name_places(cl_mirror *m, const char *address, coulis_error *error) {
    size_t length = strlen(address);
    while (length > 0 && address[length - 1] == '/') length--;
    m->address = cl_format("%.*s", (int)length, address);
    const char *place = m->address ? strstr(m->address, "://") : NULL;
    if (!place)
        return m->address ? cl_fail(error, COULIS_INVALID_ARGUMENT,
                                    "%s: is not an S3 address; it should look "
                                    "like s3://bucket/folder",
                                    address)
                          : no_memory(m, error);
    char *cache = NULL, digest[CL_SHA256_TEXT];
    cl_sha256_of(place, strlen(place), digest); /* of the bucket and the prefix: s3a:// is the same place */
    coulis_status status = m->options->work ? COULIS_OK : cl_folder_cache("work", &cache, error);
    if (status) return status;
    m->work = cl_format("%s/%.32s", m->options->work ? m->options->work : cache, digest);
    m->folder = m->work ? cl_format("%s/result", m->work) : NULL;
    cl_free(cache);
    return m->folder ? COULIS_OK : no_memory(m, error);
}

/* Whether the working folder goes on where the bucket is. */
static coulis_status is_in_step(const cl_mirror *m, bool *yes, coulis_error *error) {
    char *token, *seen = NULL;
    *yes = false;
    coulis_status status = read_text(m, "name", &token, error);
    if (!status) status = read_text(m, "seen.json", &seen, error);
    if (!status && token && strlen(token) == CL_RANDOM_NAME - 1) {
        cJSON *run = m->bucket.run ? cJSON_Parse(m->bucket.run) : NULL;
        const char *work = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "work"));
        *yes = !m->bucket.run || (work && strcmp(work, token) == 0) || (seen && strcmp(seen, m->bucket.run) == 0);
        cJSON_Delete(run);
    }
    cl_free(token);
    cl_free(seen);
    return status;
}

static coulis_status begin_anew(cl_mirror *m, coulis_error *error) {
    static const char *const names[] = {"name", "seen.json", "run.json", "result"};
    coulis_status status = COULIS_OK;
    for (int i = 0; !status && i < 4; i++) {
        char *path = in_work(m, names[i]);
        status = path ? cl_folder_remove(path, error) : no_memory(m, error);
        cl_free(path);
    }
    if (!status) status = cl_make_folders(m->folder, error);
    if (!status && !m->options->overwrite && m->bucket.run) {
        m->behind = true;
        status = write_text(m, "result/run.json", m->bucket.run, error);
    }
    if (!status) status = cl_random_name(m->token, error);
    return status ? status : write_text(m, "name", m->token, error);
}

static coulis_status open_mirror(cl_mirror *m, const char *address, coulis_error *error) {
    const cl_remote_options how = {.requester_pays = m->options->choose && m->options->choose->requester_pays};
    bool in_step = false;
    coulis_status status = name_places(m, address, error);
    if (!status) status = cl_remote_create(&how, &m->bucket.remote, error);
    if (!status) status = cl_make_folders(m->work, error);
    if (!status) status = cl_folder_lock(m->work, &m->lock, error);
    if (status) return status;
    m->bucket.address = m->address;
    m->bucket.scratch = m->work;
    status = cl_bucket_look(&m->bucket, error);
    if (!status && !m->bucket.run) status = cl_bucket_must_be_empty(&m->bucket, m->options->overwrite != 0, error);
    if (!status && m->options->overwrite)
        for (cl_kind kind = CL_KIND_FEATURES; kind <= CL_KIND_PCA; kind++) cl_parts_forget(&m->bucket.there, kind);
    else if (!status) status = is_in_step(m, &in_step, error);
    if (status) return status;
    if (!in_step) return begin_anew(m, error);
    char *token;
    status = read_text(m, "name", &token, error);
    if (token) memcpy(m->token, token, CL_RANDOM_NAME - 1); /* of that length: it is in step */
    cl_free(token);
    return status;
}

coulis_status cl_mirror_open(const char *address, const coulis_job_options *options, cl_mirror **mirror,
                             coulis_error *error) {
    cl_mirror *m = cl_alloc_zero(1, sizeof *m);
    if (!m) return cl_fail_memory(error, address, sizeof *m);
    m->options = options;
    m->lock = -1;
    m->bucket.there.descriptor = -1;
    coulis_status status = open_mirror(m, address, error);
    if (status) {
        cl_mirror_close(m, error);
        return status;
    }
    *mirror = m;
    return COULIS_OK;
}

const char *cl_mirror_folder(const cl_mirror *mirror) { return mirror->folder; }

void cl_mirror_close(cl_mirror *m, coulis_error *error) {
    if (!m) return;
    if (m->folder) cl_error_rename(error, m->folder, m->address);
    if (m->work) cl_error_rename(error, m->work, m->address);
    if (m->finished) cl_folder_remove(m->work, NULL);
    cl_folder_unlock(&m->lock);
    cl_bucket_close(&m->bucket);
    cJSON_Delete(m->recipe);
    cl_free(m->address);
    cl_free(m->work);
    cl_free(m->folder);
    cl_free(m->root);
    cl_free(m);
}

/* ---- from the bucket and to it ---- */

/* Tells how many rows have come or gone; COULIS_INTERRUPTED when the job is to stop. */
static coulis_status tell(const cl_mirror *m, const cl_parts *parts, int64_t count, double began, coulis_error *error) {
    coulis_progress progress = {.size = sizeof progress,
                                .stage = COULIS_STAGE_TRANSFER,
                                .seconds = cl_seconds() - began};
    for (int64_t i = 0; i < parts->count; i++) {
        if (parts->records[i].kind == CL_KIND_PCA) continue;
        progress.total += parts->records[i].facts.rows;
        if (i < count) progress.done += parts->records[i].facts.rows;
    }
    if (!m->options->progress || !m->options->progress(m->options->context, &progress)) return COULIS_OK;
    return cl_fail(error, COULIS_INTERRUPTED, "stopped on request; rerun the same command to resume");
}

static char *file_of(const cl_mirror *m, const cl_part_record *record) {
    char name[CL_PART_NAME];
    cl_part_name(record->kind, record->number, name);
    return cl_format("%s/%s", m->folder, name);
}

/* Brings one file, if it is as it is listed; *good says whether. */
static coulis_status fetch(cl_mirror *m, cl_parts *parts, const cl_part_record *record, bool *good,
                           coulis_error *error) {
    char *to = file_of(m, record);
    cl_new_file file;
    if (!to) return no_memory(m, error);
    coulis_status status = COULIS_OK;
    if (record->kind != CL_KIND_PCA) {
        char *slash = strrchr(to, '/');
        *slash = '\0';
        status = cl_make_folders(to, error);
        *slash = '/';
    }
    if (!status) status = cl_bucket_fetch(&m->bucket, record, to, &file, good, error);
    if (!status && *good) {
        status = cl_parts_promise(parts, record, error);
        if (!status) status = cl_new_file_commit(&file, error);
        else cl_new_file_abort(&file);
    }
    cl_free(to);
    return status;
}

coulis_status cl_mirror_settle(cl_mirror *m, const cl_output_wish *wish, coulis_error *error) {
    if (!m->behind) return COULIS_OK;
    const double began = cl_seconds();
    cl_output there = {.lock = -1, .parts = {.descriptor = -1}};
    cl_parts parts = {.descriptor = -1}, listed = m->bucket.there, good = {.descriptor = -1};
    coulis_status status = wish ? cl_output_look(m->folder, wish, &there, error) : COULIS_OK;
    if (!status) cl_output_close(&there);
    else return status;
    status = cl_parts_open(m->folder, &parts, error);
    for (int64_t i = 0; !status && i < listed.count; i++) {
        bool is_good = false;
        status = tell(m, &listed, i, began, error);
        if (!status) status = fetch(m, &parts, &listed.records[i], &is_good, error);
        if (!status && is_good) status = cl_parts_add(&good, &listed.records[i], error);
    }
    cl_parts_close(&parts);
    if (!status) {
        cl_bucket_keep(&m->bucket, &good);
        status = write_text(m, "seen.json", m->bucket.run, error);
    }
    cl_parts_close(&good);
    m->behind = status;
    return status;
}

static coulis_status put_begun(cl_mirror *m, coulis_error *error) {
    return cl_bucket_put_begun(&m->bucket, m->recipe, m->root, m->token, error);
}

static coulis_status send(cl_mirror *m, const cl_part_record *record, coulis_error *error) {
    char *from = file_of(m, record);
    coulis_status status = from ? cl_bucket_send(&m->bucket, from, record, error) : no_memory(m, error);
    cl_free(from);
    return status ? status : put_begun(m, error);
}

/* A file of the job has its name: cl_parts.named. */
static coulis_status on_named(void *context, const cl_parts *parts, const cl_part_record *record, coulis_error *error) {
    cl_mirror *m = context;
    cl_bucket_keep(&m->bucket, parts);
    return send(m, record, error);
}

coulis_status cl_mirror_begin(cl_mirror *m, cl_output *output, const cl_output_wish *wish, coulis_error *error) {
    m->recipe = cJSON_Parse(wish->recipe);
    m->root = output->root ? cl_strdup(output->root) : NULL;
    if (!m->recipe || (output->root && !m->root)) return no_memory(m, error);
    cl_bucket_keep(&m->bucket, &output->parts);
    coulis_status status = put_begun(m, error);
    if (!status) status = cl_bucket_sweep(&m->bucket, error);
    output->parts.named = on_named;
    output->parts.context = m;
    return status;
}

/* Brings the bucket what it lacks of `parts`; all else is taken from it. */
static coulis_status send_rest(cl_mirror *m, const cl_parts *parts, coulis_error *error) {
    const double began = cl_seconds();
    cl_bucket_keep(&m->bucket, parts);
    coulis_status status = put_begun(m, error);
    for (int64_t i = 0; !status && i < parts->count; i++) {
        if (cl_parts_find(&m->bucket.there, parts->records[i].kind, parts->records[i].number)) continue;
        status = tell(m, parts, i, began, error);
        if (!status) status = send(m, &parts->records[i], error);
    }
    return status ? status : cl_bucket_sweep(&m->bucket, error);
}

coulis_status cl_mirror_finish(cl_mirror *m, coulis_error *error) {
    char *text;
    coulis_status status = read_text(m, "result/run.json", &text, error);
    if (!status && !text) status = cl_fail(error, COULIS_MISSING, "%s/run.json: not found", m->folder);
    if (status) return status;
    m->finished = m->bucket.run && strcmp(text, m->bucket.run) == 0;
    cJSON *run = cJSON_Parse(text);
    cl_parts parts = {.descriptor = -1};
    if (!m->finished) {
        cJSON_Delete(m->recipe); /* that of the finished result has what became of it */
        cl_free(m->root);
        const char *root = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "root"));
        m->recipe = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(run, "recipe"), 1);
        m->root = root ? cl_strdup(root) : NULL;
        parts.folder = cl_strdup(m->folder);
        status = m->recipe && parts.folder && (!root || m->root) ? COULIS_OK : no_memory(m, error);
        if (!status) status = cl_parts_add_summary(&parts, run, error);
        if (!status) status = send_rest(m, &parts, error);
        if (!status) status = cl_bucket_put_run(&m->bucket, text, error);
        m->finished = !status;
    }
    cl_parts_close(&parts);
    cJSON_Delete(run);
    cl_free(text);
    return status;
}
