#!/usr/bin/env bash
# Builds the whole library, the command and the C tests for 64-bit ARM with the same CMake files, and runs the tests in
# an emulator: tools/cross_test.sh [FOLDER]
# FOLDER (build/arm64) takes Debian's packages for that processor, unpacked, and the build. The last line is
# "N passed, N failed, N skipped" of all programs. Emulated time says nothing about speed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
OUT=$(realpath -m "${1:-build/arm64}")
TOOLS=.venv/bin
[ -x "$TOOLS/cmake" ] || TOOLS=$(dirname "$(command -v cmake)")
# Minutes in the emulator, for arithmetic that the other tests have, too.
LEFT_OUT=(eigen index pca pca_krylov pca_moments)

tools/arm64_sysroot.sh "$OUT/sysroot"
"$TOOLS/cmake" -G Ninja -S . -B "$OUT/build" "-DCMAKE_MAKE_PROGRAM=$(realpath "$TOOLS/ninja")" \
    "-DCMAKE_TOOLCHAIN_FILE=$PWD/cmake/aarch64.cmake" "-DCMAKE_SYSROOT=$OUT/sysroot" \
    -DCOULIS_TESTS=ON -DCOULIS_WERROR=ON -DCOULIS_LAPACK=static >"$OUT/cmake.log" ||
    { cat "$OUT/cmake.log"; exit 1; }
"$TOOLS/ninja" -C "$OUT/build" all coulis_pages >"$OUT/build.log" || { tail -n 40 "$OUT/build.log"; exit 1; }

emulated=(qemu-aarch64 -L "$OUT/sysroot")
passed=0 failed=0 skipped=0
check() {
    if [ "$2" = 0 ]; then echo "ok     $1"; passed=$((passed + 1)); else echo "FAILED $1"; failed=$((failed + 1)); fi
}

for program in "$OUT"/build/tests/test_*; do
    name=${program##*/test_}
    [[ " ${LEFT_OUT[*]} " != *" $name "* && $name != *.* ]] || continue
    echo "-- test_$name on emulated 64-bit ARM"
    code=0
    "${emulated[@]}" "$program" >"$OUT/$name.txt" 2>&1 || code=$?
    grep -v '^ok ' "$OUT/$name.txt" || true
    if [[ $(tail -n 1 "$OUT/$name.txt") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + BASH_REMATCH[3]))
        failed=$((failed + BASH_REMATCH[2] + (code != 0 && BASH_REMATCH[2] == 0)))
    else
        echo "test_$name: ended with $code before its last line"
        failed=$((failed + 1))
    fi
done

code=0
"${emulated[@]}" "$OUT/build/coulis" version | grep -q '(neon)' || code=1
check "the command says that it uses NEON" "$code"
if [ -x build/coulis ]; then
    code=0
    build/coulis help --man | cmp -s - "$OUT/build/pages/coulis.1" || code=1
    check "its manual page is that of this machine" "$code"
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
