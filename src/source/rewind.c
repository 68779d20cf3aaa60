#include "source/inputs.h"

void cl_inputs_rewind(cl_inputs *inputs) {
    if (inputs->open) inputs->open->close(inputs->open);
    inputs->open = NULL;
    inputs->damaged = false;
    inputs->at = 0;
    memcpy(inputs->left_out, inputs->listed, sizeof inputs->left_out);
}
