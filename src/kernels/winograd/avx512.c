#include "kernels/winograd/kernel.h"
