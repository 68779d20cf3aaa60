/* Softmax attention with heads: for each head, softmax(q k^T scale) v.
 *
 * It is worked through by blocks of queries: their scores against all keys, the powers of these, and the product with v
 * follow each other while the block is in the cache, and the matrix of all scores is never there as a whole. A row of
 * scores is summed over all keys in one go, in one order. The result is divided by the sum of its powers at the end
 * (as in Rabe and Staats, Self-attention does not need O(n^2) memory, 2021, but for the running maximum). */
#include <math.h>

#include "net/pack.h"

/* What a block's scores may take: they are written and read three times, beside k and v of the head, and should stay in
 * a second-level cache of 256 KiB or more. */
#define SCORE_BYTES (64 * 1024)

typedef struct shape {
    int64_t queries, keys, channels, head; /* rows of q, rows of k and v, channels of the result, of a head */
    int64_t q_stride, k_stride;            /* from row to row */
    int64_t block, score_stride, head_stride;
    int64_t v_at, scores_at, result_at, sums_at, count; /* the parts of the scratch memory after k, and its size */
} shape;

static int64_t lines(int64_t count) { return (count + CL_ALIGNMENT - 1) / CL_ALIGNMENT * CL_ALIGNMENT; }

static shape shape_of(const cl_plan *plan, const cl_step *step) {
    const cl_kernels *kernels = plan->kernels;
    const cl_value *first = cl_step_input(plan, step), *last = &plan->values[step->inputs[step->input_count - 1]];
    shape s = {.queries = cl_step_output(plan, step)->rows,
               .keys = last->rows,
               .channels = step->node->channels,
               .q_stride = first->stride,
               .k_stride = last->stride};
    s.head = s.channels / step->node->attention.heads;
    s.score_stride = cl_padded(kernels, s.keys);
    s.head_stride = cl_padded(kernels, s.head);
    /* A multiple of every kernel's rows, 6 and 8, if not of 7. */
    s.block = SCORE_BYTES / (int64_t)sizeof(float) / s.score_stride / 24 * 24;
    if (s.block < 24) s.block = 24;
    if (s.block > s.queries) s.block = s.queries;
    s.v_at = lines(kernels->gemm_packed_count(s.head, s.keys));
    s.scores_at = s.v_at + lines(kernels->gemm_packed_count(s.keys, s.head));
    s.result_at = s.scores_at + lines(s.block * s.score_stride);
    s.sums_at = s.result_at + lines(s.block * s.head_stride);
    s.count = s.sums_at + lines(s.block);
    return s;
}

static int64_t scratch(const cl_plan *plan, const cl_step *step) { return shape_of(plan, step).count; }

/* One head of one image: q, k, v and the result begin with its channels. */
static void head(const cl_run *run, const cl_step *step, const shape *s, const float *q, const float *k, const float *v,
                 float *out, int64_t out_stride) {
    const cl_kernels *kernels = run->plan->kernels;
    float *memory = cl_scratch(run), *scores = memory + s->scores_at, *result = memory + s->result_at;
    float *sums = memory + s->sums_at;
    kernels->gemm_pack(s->head, s->keys, k, 1, s->k_stride, memory);
    kernels->gemm_pack(s->keys, s->head, v, s->k_stride, 1, memory + s->v_at);
    for (int64_t first = 0; first < s->queries; first += s->block) {
        const int64_t rows = first + s->block < s->queries ? s->block : s->queries - first;
        kernels->gemm(&(cl_gemm){.m = rows,
                                 .k = s->head,
                                 .columns = s->keys,
                                 .a = q + first * s->q_stride,
                                 .a_stride = s->q_stride,
                                 .b = memory,
                                 .c = scores,
                                 .c_stride = s->score_stride,
                                 .low = -INFINITY,
                                 .high = INFINITY});
        kernels->softmax(&(cl_softmax){.rows = rows,
                                       .count = s->keys,
                                       .stride = s->score_stride,
                                       .seen = step->node->attention.causal ? step->first + first : s->keys,
                                       .scale = (float)step->node->attention.scale,
                                       .data = scores,
                                       .sums = sums});
        kernels->gemm(&(cl_gemm){.m = rows,
                                 .k = s->keys,
                                 .columns = s->head,
                                 .a = scores,
                                 .a_stride = s->score_stride,
                                 .b = memory + s->v_at,
                                 .c = result,
                                 .c_stride = s->head_stride,
                                 .low = -INFINITY,
                                 .high = INFINITY});
        for (int64_t r = 0; r < rows; r++) {
            const float factor = 1 / sums[r];
            const float *from = result + r * s->head_stride;
            float *to = out + (first + r) * out_stride;
            if (s->head == s->head_stride) kernels->sum(&from, 1, s->head, factor, to);
            else /* whole registers would reach into the next head */
                for (int64_t c = 0; c < s->head; c++) to[c] = from[c] * factor;
        }
    }
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_plan *plan = run->plan;
    const shape s = shape_of(plan, step);
    const cl_value *out = cl_step_output(plan, step);
    const bool packed = step->node->op == CL_OP_ATTENTION && step->input_count == 1; /* q before k and v */
    const int32_t keys = step->inputs[step->input_count - 1];
    for (int64_t p = 0; p < run->images; p++) {
        const float *first = cl_value_data(run, step->inputs[0]) + p * cl_step_input(plan, step)->size;
        const float *k = cl_value_data(run, keys) + p * plan->values[keys].size + (packed ? s.channels : 0);
        if (packed) first += step->first * s.q_stride; /* apart from keys and values they are only those needed */
        const float *q = step->weights ? step->weights : first, *v = k + s.channels;
        float *result = cl_value_data(run, step->output) + p * out->size;
        for (int64_t h = 0; h < s.channels; h += s.head)
            head(run, step, &s, q + h, k + h, v + h, result + h, out->stride);
    }
}

/* The query that belongs to the network. */
static coulis_status pack(const cl_plan *plan, const coulis_model *model, cl_step *step, coulis_error *error) {
    if (step->node->op != CL_OP_ATTENTION_POOL) return COULIS_OK;
    coulis_status status = cl_pack_room(step, cl_step_output(plan, step)->stride, 1, error);
    for (int64_t c = 0; !status && c < step->node->channels; c++)
        step->weights[c] = cl_model_weight(model, step->node, CL_QUERY)[c];
    return status;
}

const cl_step_ops cl_step_attention = {
    .flags = CL_STEP_ACTIVATES,
    .pack = pack,
    .scratch = scratch,
    .run = run_all,
};
