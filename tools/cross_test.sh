#!/usr/bin/env bash
# Builds what needs no other library for 64-bit ARM, and runs its tests in an emulator: tools/cross_test.sh [FOLDER]
# FOLDER (build/neon) takes the objects and programs. The last line is "N passed, N failed, N skipped" of all programs.
# Emulated time says nothing about speed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
OUT=${1:-build/neon}
TESTS=(base gemm kernels pca_kernels reduced resize)

# As in CMakeLists.txt. Each function gets a section of its own, so that the linker can drop those that nobody calls
# here together with what they would need: the rest of image.c calls decoders.
FLAGS=(-std=gnu11 -O3 -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
    -ffp-contract=off -D_GNU_SOURCE -DCOULIS_TESTING -Iinclude -Isrc -Itests/c -ffunction-sections)

# safetensors.c needs cJSON.
mapfile -t sources < <(find src/base src/cpu src/kernels src/pca/kernels -name '*.c' ! -name 'avx*.c' ! -name amx.c ! -name safetensors.c | sort)
sources+=(src/image/axis.c src/image/image.c src/image/resize.c src/image/source.c)

rm -rf "$OUT"
mkdir -p "$OUT/objects" "$OUT/tests"
object() { echo "$OUT/objects/${1//\//_}.o"; }

for source in "${sources[@]}" "${TESTS[@]/#/tests/c/test_}"; do
    [[ $source == *.c ]] || source+=.c
    printf '%s\0' "${FLAGS[@]}" -c "$source" -o "$(object "$source")"
done | xargs -0 -n $((${#FLAGS[@]} + 4)) -P "$(nproc)" aarch64-linux-gnu-gcc

objects=()
for source in "${sources[@]}"; do objects+=("$(object "$source")"); done

passed=0 failed=0 skipped=0
for test in "${TESTS[@]}"; do
    program=$OUT/tests/test_$test
    aarch64-linux-gnu-gcc -static -pthread -Wl,--gc-sections "$(object "tests/c/test_$test.c")" "${objects[@]}" -lm -o "$program"
    echo "-- test_$test on emulated 64-bit ARM"
    code=0
    qemu-aarch64 "$program" | tee "$program.txt" || code=$?
    if [[ $(tail -n 1 "$program.txt") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + BASH_REMATCH[3]))
        failed=$((failed + BASH_REMATCH[2] + (code != 0 && BASH_REMATCH[2] == 0)))
    else
        echo "test_$test: ended with $code before its last line"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
