/* The first layers of a network in bands of rows: each computes a few rows as soon as those that it
 * needs are there, so that only few rows of its input have to be.
 *
 * A line holds consecutive rows of a tensor, with rows of padding above and below it; places of
 * rows count from the first one above. A stage is a layer on a band of rows. After each row of the
 * input the last stage that can run does, again and again, until none can. */
#ifndef EDGECNN_STREAM_H
#define EDGECNN_STREAM_H

#include <stddef.h>

#include "edgecnn_dsp.h"

/* Inputs that a stage has at most. */
enum { EDGECNN_STAGE_INPUTS = 4 };

typedef struct {
    uint32_t offset; /* of the first row that is held, in the arena */
    uint32_t row_bytes;
    uint16_t capacity; /* rows that there is room for */
    uint16_t above, height, below;
    uint16_t first_reader, end_reader; /* those that read it follow each other */
    int8_t fill;                       /* every byte of the padding */
} edgecnn_line;

/* A stage reads a number of rows of a line from the first on, then further down by a step. */
typedef struct {
    uint16_t line, stage;
    uint16_t first, size, step;
} edgecnn_reader;

typedef struct {
    void (*run)(int8_t *memory, const int8_t *const *inputs, int8_t *output);
    uint16_t inputs, readers[EDGECNN_STAGE_INPUTS];
    uint16_t output, rows, bands; /* the line, rows of a band, and bands in all */
    uint16_t next;                /* the last stage that reads the output; itself if none does */
} edgecnn_stage;

typedef struct {
    const edgecnn_line *lines;
    const edgecnn_reader *readers;
    const edgecnn_stage *stages;
    uint16_t line_count, stage_count;
    uint32_t state; /* offset in the arena: line_count + line_count + stage_count words of 16 bits */
} edgecnn_stream;

/* The row that a line holds first, the one after its last, and the bands that are done. */
EDGECNN_SPECIALIZED uint16_t *edgecnn_stream_base(const edgecnn_stream *s, int8_t *memory) {
    return (uint16_t *)(void *)(memory + s->state);
}
EDGECNN_SPECIALIZED uint16_t *edgecnn_stream_end(const edgecnn_stream *s, int8_t *memory) {
    return edgecnn_stream_base(s, memory) + s->line_count;
}
EDGECNN_SPECIALIZED uint16_t *edgecnn_stream_done(const edgecnn_stream *s, int8_t *memory) {
    return edgecnn_stream_end(s, memory) + s->line_count;
}

/* Copy bytes to where they do not overlap, or further down. */
EDGECNN_FUNCTION void edgecnn_move_rows(int8_t *to, const int8_t *from, uint32_t bytes) {
    if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0u) {
        for (; bytes >= 16u; bytes -= 16u) {
            const uint32_t a = edgecnn_load(from), b = edgecnn_load(from + 4);
            const uint32_t c = edgecnn_load(from + 8), d = edgecnn_load(from + 12);
            edgecnn_store(to, a);
            edgecnn_store(to + 4, b);
            edgecnn_store(to + 8, c);
            edgecnn_store(to + 12, d);
            from += 16;
            to += 16;
        }
    }
    for (; bytes > 0u; --bytes) {
        *to++ = *from++;
    }
}

EDGECNN_FUNCTION void edgecnn_fill_rows(int8_t *to, int32_t value, uint32_t bytes) {
    for (; bytes > 0u; --bytes) {
        *to++ = (int8_t)value;
    }
}

/* The first row of a line that a stage still needs; its end if none does. */
EDGECNN_SPECIALIZED uint32_t edgecnn_stream_needed(const edgecnn_stream *s, int8_t *memory,
                                                   uint32_t line) {
    const uint16_t *const done = edgecnn_stream_done(s, memory);
    uint32_t needed = edgecnn_stream_end(s, memory)[line];
    for (uint32_t i = s->lines[line].first_reader; i < s->lines[line].end_reader; ++i) {
        const edgecnn_reader *const r = &s->readers[i];
        const uint32_t from = r->first + (uint32_t)done[r->stage] * r->step;
        needed = from < needed ? from : needed;
    }
    return needed;
}

/* Where the next rows of a line go; rows that no stage needs any more make place for them. Only the
 * first ones bring the padding above: until then others may use the memory of the line. */
EDGECNN_FUNCTION int8_t *edgecnn_stream_room(const edgecnn_stream *s, int8_t *memory, uint32_t line,
                                             uint32_t rows) {
    const edgecnn_line *const l = &s->lines[line];
    uint16_t *const base = edgecnn_stream_base(s, memory) + line;
    uint16_t *const end_of_line = edgecnn_stream_end(s, memory) + line;
    int8_t *const first = memory + l->offset;
    if (*end_of_line == 0u) {
        edgecnn_fill_rows(first, l->fill, l->above * l->row_bytes);
        *end_of_line = l->above;
    }
    const uint32_t end = *end_of_line;
    if (end - *base + rows > l->capacity) {
        const uint32_t needed = edgecnn_stream_needed(s, memory, line);
        edgecnn_move_rows(first, first + (needed - *base) * l->row_bytes,
                          (end - needed) * l->row_bytes);
        *base = (uint16_t)needed;
    }
    return first + (end - *base) * l->row_bytes;
}

/* The rows are there. */
EDGECNN_SPECIALIZED void edgecnn_stream_put(const edgecnn_stream *s, int8_t *memory, uint32_t line,
                                            uint32_t rows) {
    uint16_t *const end = edgecnn_stream_end(s, memory) + line;
    *end = (uint16_t)(*end + rows);
}

/* Where the rows of a reader's next band are, or NULL if they have not all come yet. */
EDGECNN_SPECIALIZED const int8_t *edgecnn_stream_rows(const edgecnn_stream *s, int8_t *memory,
                                                      const edgecnn_reader *r) {
    const edgecnn_line *const l = &s->lines[r->line];
    const uint32_t from =
        r->first + (uint32_t)edgecnn_stream_done(s, memory)[r->stage] * r->step;
    if (from + r->size > edgecnn_stream_end(s, memory)[r->line]) {
        return NULL;
    }
    return memory + l->offset + (from - edgecnn_stream_base(s, memory)[r->line]) * l->row_bytes;
}

/* Compute the next band of a stage; whether it could be. */
EDGECNN_SPECIALIZED int32_t edgecnn_stream_band(const edgecnn_stream *s, int8_t *memory,
                                                uint32_t stage) {
    const edgecnn_stage *const t = &s->stages[stage];
    uint16_t *const done = edgecnn_stream_done(s, memory) + stage;
    const int8_t *inputs[EDGECNN_STAGE_INPUTS];
    if (*done == t->bands) {
        return 0;
    }
    for (uint32_t i = 0; i < t->inputs; ++i) {
        inputs[i] = edgecnn_stream_rows(s, memory, &s->readers[t->readers[i]]);
        if (inputs[i] == NULL) {
            return 0;
        }
    }
    t->run(memory, inputs, edgecnn_stream_room(s, memory, t->output, t->rows));
    *done = (uint16_t)(*done + 1u);
    edgecnn_stream_put(s, memory, t->output, t->rows);
    return 1;
}

/* Before the first row. */
EDGECNN_FUNCTION void edgecnn_stream_begin(const edgecnn_stream *s, int8_t *memory) {
    uint16_t *const state = edgecnn_stream_base(s, memory);
    for (uint32_t i = 0; i < 2u * s->line_count + s->stage_count; ++i) {
        state[i] = 0u;
    }
}

/* Compute all that can be. */
EDGECNN_FUNCTION void edgecnn_stream_drain(const edgecnn_stream *s, int8_t *memory) {
    uint32_t left = s->stage_count; /* stages that may be able to run */
    while (left > 0u) {
        if (edgecnn_stream_band(s, memory, left - 1u)) {
            left = s->stages[left - 1u].next + 1u;
        } else {
            --left;
        }
    }
}

/* Put a row of padding below the first tensor that has come and wants one; whether there was. */
EDGECNN_FUNCTION int32_t edgecnn_stream_pad(const edgecnn_stream *s, int8_t *memory) {
    for (uint32_t i = 0; i < s->line_count; ++i) {
        const edgecnn_line *const l = &s->lines[i];
        const uint32_t end = edgecnn_stream_end(s, memory)[i], last = (uint32_t)l->above + l->height;
        if (end >= last && end < last + l->below) {
            edgecnn_fill_rows(edgecnn_stream_room(s, memory, i, 1), l->fill, l->row_bytes);
            edgecnn_stream_put(s, memory, i, 1);
            return 1;
        }
    }
    return 0;
}

/* Take one row of the input, and compute all that can be. */
EDGECNN_FUNCTION void edgecnn_stream_row(const edgecnn_stream *s, int8_t *memory,
                                         const int8_t *row) {
    edgecnn_move_rows(edgecnn_stream_room(s, memory, 0, 1), row, s->lines[0].row_bytes);
    edgecnn_stream_put(s, memory, 0, 1);
    do {
        edgecnn_stream_drain(s, memory);
    } while (edgecnn_stream_pad(s, memory));
}

#endif
