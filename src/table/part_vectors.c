#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "table/part_reader.h"

/* Numbers whose levels are read at a time. */
#define BATCH 65536

coulis_status cl_part_measure(const cl_part_reader *reader, int32_t group, int64_t *length, coulis_error *error) {
    carquet_column_reader_t *column = NULL;
    int64_t count = 0;
    coulis_status status = cl_part_open_column(reader, group, reader->leaves[CL_COLUMN_VECTOR], &column, &count, error);
    if (status) return status;
    int16_t full = carquet_schema_max_def_level(carquet_reader_schema(reader->parquet),
                                                reader->leaves[CL_COLUMN_VECTOR]);
    int16_t *levels = cl_alloc(BATCH, 2 * sizeof *levels);
    float *values = cl_alloc(BATCH, sizeof *values);
    if (!levels || !values) status = cl_fail_memory(error, reader->path, BATCH * 8);
    int ended = 0;
    *length = 0;
    while (!status && !ended) {
        carquet_error_t problem = CARQUET_ERROR_INIT;
        int64_t got = carquet_column_read_batch_ex(column, values, BATCH, levels, levels + BATCH, &problem);
        if (problem.code) status = cl_part_fail(reader, &problem, error);
        if (status || got <= 0) break;
        for (int64_t i = 0; i < got && !ended; i++) {
            ended = *length > 0 && levels[BATCH + i] == 0;
            *length += !ended && levels[i] == full;
        }
    }
    carquet_column_reader_free(column);
    cl_free(levels);
    cl_free(values);
    return status;
}

/* Where the reading of a row group's vectors stands. */
typedef struct cursor {
    int64_t row;     /* rows begun */
    int64_t numbers; /* of the vector begun last; its length when the next begins */
    int64_t total;   /* numbers in all vectors so far */
} cursor;

/* Takes one batch of levels: begins rows, counts numbers. */
static coulis_status take_levels(cl_part_reader *reader, int64_t count, const int16_t *levels, int64_t got,
                                 int16_t full, cursor *at, coulis_error *error) {
    for (int64_t i = 0; i < got; i++) {
        if (levels[BATCH + i] == 0) {
            if (at->numbers != 0 && at->numbers != reader->length)
                return cl_part_bad(reader, "its vectors differ in length", error);
            if (at->row == count) return cl_part_bad(reader, "it has more vectors than rows", error);
            at->numbers = 0;
            at->row++;
        } else if (at->row == 0 || at->numbers == 0) {
            return cl_part_bad(reader, "a vector begins in the middle", error);
        }
        if (levels[i] == full) {
            if (at->numbers++ == 0) reader->row[at->row - 1].vector = reader->vectors + at->total;
            at->total++;
        } else if (levels[i] != 0 || levels[BATCH + i] != 0) {
            return cl_part_bad(reader, "a vector is empty or has a null in it", error);
        }
    }
    return COULIS_OK;
}

coulis_status cl_part_read_vectors(cl_part_reader *reader, int32_t group, int64_t count, coulis_error *error) {
    carquet_column_reader_t *column = NULL;
    int64_t entries = 0;
    int16_t full = carquet_schema_max_def_level(carquet_reader_schema(reader->parquet),
                                                reader->leaves[CL_COLUMN_VECTOR]);
    coulis_status status = cl_part_open_column(reader, group, reader->leaves[CL_COLUMN_VECTOR], &column, &entries, error);
    if (status) return status;
    int16_t *levels = cl_alloc(BATCH, 2 * sizeof *levels);
    cursor at = {0};
    if (entries < count || entries > GROUP_NUMBERS_MAX)
        status = cl_part_bad(reader, "a row group has an impossible number of values", error);
    else if (!levels || !(reader->vectors = cl_alloc((size_t)entries, sizeof *reader->vectors)))
        status = cl_fail_memory(error, reader->path, (size_t)entries * sizeof *reader->vectors);
    for (int64_t done = 0; done < entries && !status;) {
        carquet_error_t problem = CARQUET_ERROR_INIT;
        int64_t wanted = entries - done < BATCH ? entries - done : BATCH;
        int64_t got = carquet_column_read_batch_ex(column, reader->vectors + at.total, wanted, levels, levels + BATCH,
                                                   &problem);
        if (problem.code) status = cl_part_fail(reader, &problem, error);
        else if (got <= 0) status = cl_part_bad(reader, "its vectors end too early", error);
        else status = take_levels(reader, count, levels, got, full, &at, error);
        done += got;
    }
    if (!status && (at.row != count || (at.numbers != 0 && at.numbers != reader->length)))
        status = cl_part_bad(reader, "its vectors end too early", error);
    for (int64_t i = 0; i < count && !status; i++)
        if ((reader->row[i].vector != NULL) != (reader->row[i].status == COULIS_OK))
            status = cl_part_bad(reader, "a row has a vector without status ok, or the other way round", error);
    carquet_column_reader_free(column);
    cl_free(levels);
    return status;
}
