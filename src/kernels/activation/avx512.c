#include "kernels/activation/kernel.h"
