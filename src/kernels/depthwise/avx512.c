#include "kernels/depthwise/kernel.h"
