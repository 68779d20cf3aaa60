#include "kernels/elementwise/kernel.h"
