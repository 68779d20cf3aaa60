/* WebP, by libwebp: the first frame of the canvas, as Pillow takes it. */
#include <webp/decode.h>
#include <webp/demux.h>

#include "image/bytes.h"
#include "image/decoder.h"
#include "image/exif.h"

typedef struct webp {
    cl_decoder base;
    cl_source *image;
    WebPAnimDecoder *decoder;
    const uint8_t *canvas; /* RGBA, owned by `decoder` */
    int32_t row;
    bool over_white;
} webp;

/* Width and height from the first chunk, before libwebp asks for memory. */
static bool header_size(const uint8_t *bytes, size_t size, uint32_t *width, uint32_t *height) {
    if (size < 25) return false;
    if (memcmp(bytes + 12, "VP8L", 4) == 0 && bytes[20] == 0x2F) {
        uint32_t bits = cl_little32(bytes + 21);
        *width = (bits & 0x3FFF) + 1;
        *height = (bits >> 14 & 0x3FFF) + 1;
        return true;
    }
    if (size < 30) return false;
    if (memcmp(bytes + 12, "VP8 ", 4) == 0 && memcmp(bytes + 23, "\x9d\x01\x2a", 3) == 0) {
        *width = cl_little16(bytes + 26) & 0x3FFF;
        *height = cl_little16(bytes + 28) & 0x3FFF;
        return true;
    }
    if (memcmp(bytes + 12, "VP8X", 4) == 0) {
        *width = (cl_little16(bytes + 24) | (uint32_t)bytes[26] << 16) + 1;
        *height = (cl_little16(bytes + 27) | (uint32_t)bytes[29] << 16) + 1;
        return true;
    }
    return false;
}

static coulis_status fail(const cl_source *image, const char *what) {
    return cl_source_fail(image, COULIS_UNREADABLE, "is a damaged WebP: %s (of %zu bytes)", what, image->size);
}

static void find_orientation(webp *w) {
    const WebPDemuxer *demuxer = WebPAnimDecoderGetDemuxer(w->decoder);
    WebPChunkIterator chunk;
    bool found = false;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        found = cl_exif_orientation(chunk.chunk.bytes, chunk.chunk.size, &w->base.orientation);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    if (!found && WebPDemuxGetChunk(demuxer, "XMP ", 1, &chunk)) {
        cl_xmp_orientation(chunk.chunk.bytes, chunk.chunk.size, &w->base.orientation);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
}

static coulis_status read_rows(cl_decoder *decoder, uint8_t *const *rows, int32_t count) {
    webp *w = (webp *)decoder;
    size_t width = (size_t)w->base.width;
    for (int32_t i = 0; i < count; i++, w->row++) {
        memcpy(rows[i], w->canvas + (size_t)w->row * width * 4, width * 4);
        if (w->over_white) cl_row_over_white(rows[i], width);
    }
    return COULIS_OK;
}

static void close_webp(cl_decoder *decoder) {
    webp *w = (webp *)decoder;
    if (w->decoder) WebPAnimDecoderDelete(w->decoder);
    cl_free(w);
}

/* libwebp does not say why it fails, so what fails is tried twice. */
static coulis_status blame(const cl_source *image, const char *what) {
    return cl_source_has_memory(image) ? fail(image, what) : cl_source_fail_memory(image);
}

static bool open_animation(webp *w) {
    const WebPData data = {w->image->bytes, w->image->size};
    WebPAnimDecoderOptions settings;
    if (w->decoder) WebPAnimDecoderDelete(w->decoder);
    w->decoder = WebPAnimDecoderOptionsInit(&settings) ? WebPAnimDecoderNew(&data, &settings) : NULL;
    return w->decoder != NULL;
}

static bool next_frame(webp *w) {
    uint8_t *canvas;
    int timestamp;
    if (!WebPAnimDecoderGetNext(w->decoder, &canvas, &timestamp)) return false;
    w->canvas = canvas;
    return true;
}

static coulis_status start(webp *w) {
    cl_source *image = w->image;
    const coulis_image_options *options = image->options;
    if (!open_animation(w) && !open_animation(w)) return blame(image, "its chunks are cut short or invalid");
    WebPAnimInfo info;
    if (!WebPAnimDecoderGetInfo(w->decoder, &info)) return fail(image, "it has no canvas");
    coulis_status status = cl_source_set_size(image, info.canvas_width, info.canvas_height);
    if (status) return status;
    w->base.width = image->stored_width;
    w->base.height = image->stored_height;
    w->base.box = (cl_box){0, 0, w->base.width, w->base.height};
    if (options->orient == COULIS_ORIENT_EXIF) find_orientation(w);
    WebPBitstreamFeatures features;
    bool opaque = WebPGetFeatures(image->bytes, image->size, &features) == VP8_STATUS_OK && !features.has_alpha;
    w->over_white = options->alpha == COULIS_ALPHA_WHITE && !opaque;
    if (!next_frame(w) && !(open_animation(w) && next_frame(w))) return blame(image, "its data are invalid");
    return COULIS_OK;
}

coulis_status cl_webp_open(cl_source *image, cl_decoder **decoder) {
    uint32_t width, height;
    if (!header_size(image->bytes, image->size, &width, &height)) return fail(image, "it does not begin with an image");
    coulis_status status = cl_source_set_size(image, width, height);
    if (status) return status;
    webp *w = cl_alloc_zero(1, sizeof *w);
    if (!w) return cl_source_fail_memory(image);
    w->base = (cl_decoder){.orientation = 1, .rows = read_rows, .close = close_webp};
    w->image = image;
    status = start(w);
    if (status) close_webp(&w->base);
    else *decoder = &w->base;
    return status;
}
