#include "kernels/layer_norm/kernel.h"
