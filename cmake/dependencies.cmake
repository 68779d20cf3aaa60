# Libraries coulis stands on; docs/dependencies.md says why each.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
pkg_check_modules(COULIS_PKG REQUIRED IMPORTED_TARGET libwebp libwebpdemux lcms2 libtiff-4>=4.5
  libopenjp2 libavif)
pkg_check_modules(COULIS_JSON REQUIRED IMPORTED_TARGET libcjson)
# From the archives the linker takes what coulis calls; the shared libraries are four times as large. And the serial
# OpenBLAS starts no threads of its own: the other one does as it is loaded, and where it cannot, it sends the process
# SIGINT, or waits for ever for threads that it never had.
set(folder "${CMAKE_LIBRARY_ARCHITECTURE}/openblas-serial")
find_library(COULIS_OPENBLAS_ARCHIVE libopenblas.a PATHS "/usr/lib/${folder}" NO_DEFAULT_PATH)
find_path(COULIS_OPENBLAS_HEADERS cblas.h PATHS "/usr/include/${folder}" NO_DEFAULT_PATH)
find_library(COULIS_LAPACKE_ARCHIVE liblapacke.a)
if(COULIS_OPENBLAS_ARCHIVE AND COULIS_OPENBLAS_HEADERS AND COULIS_LAPACKE_ARCHIVE AND NOT COULIS_LAPACK STREQUAL shared)
  # LAPACK's Fortran needs its run-time library, named by its file because the link to it belongs to the compiler.
  set(COULIS_LAPACK_NEEDS "${COULIS_LAPACKE_ARCHIVE}" "${COULIS_OPENBLAS_ARCHIVE}" -l:libgfortran.so.5)
  add_library(coulis_lapack INTERFACE)
  target_include_directories(coulis_lapack SYSTEM INTERFACE "${COULIS_OPENBLAS_HEADERS}")
  target_link_libraries(coulis_lapack INTERFACE ${COULIS_LAPACK_NEEDS})
elseif(COULIS_LAPACK STREQUAL static)
  message(FATAL_ERROR "COULIS_LAPACK=static needs the archives of libopenblas-serial-dev and liblapacke-dev")
else()
  pkg_check_modules(COULIS_LAPACK_PKG REQUIRED IMPORTED_TARGET openblas lapacke)
  set(COULIS_LAPACK_NEEDS ${COULIS_LAPACK_PKG_LDFLAGS})
  add_library(coulis_lapack ALIAS PkgConfig::COULIS_LAPACK_PKG)
endif()

if(NOT EXISTS "${COULIS_CARQUET_DIR}/CMakeLists.txt")
  message(FATAL_ERROR "carquet is not at ${COULIS_CARQUET_DIR}: run './run build', which fetches it, "
    "or set COULIS_CARQUET_DIR to the folder native/ of its source distribution")
endif()
set(CARQUET_BUILD_CLI OFF CACHE BOOL "" FORCE)
set(CARQUET_ENABLE_BROTLI OFF CACHE BOOL "" FORCE)
set(CARQUET_BUILD_SHARED OFF CACHE BOOL "" FORCE)
# Threads are ours to start: one writer a job, and what it writes does not depend on how many there are.
set(CMAKE_DISABLE_FIND_PACKAGE_OpenMP TRUE)
add_subdirectory("${COULIS_CARQUET_DIR}" "${CMAKE_BINARY_DIR}/carquet" EXCLUDE_FROM_ALL)
# src/table/parquet_memory.c has these functions.
get_target_property(CARQUET_SOURCES carquet SOURCES)
list(FILTER CARQUET_SOURCES EXCLUDE REGEX "util/crc32\\.c$")
set_target_properties(carquet PROPERTIES SOURCES "${CARQUET_SOURCES}")
# Its release build asks for link-time optimization, which each program that links it would pay for again.
target_compile_options(carquet PRIVATE -fno-lto)
if(COULIS_SANITIZE) # carquet sets flags of its own; a sanitizer's report ends where frame pointers end
  target_compile_options(carquet PRIVATE -fno-omit-frame-pointer)
endif()

add_library(coulis_dependencies INTERFACE)
target_link_libraries(coulis_dependencies INTERFACE carquet JPEG::JPEG ZLIB::ZLIB PkgConfig::COULIS_PKG coulis_lapack
  PkgConfig::COULIS_JSON Threads::Threads ${CMAKE_DL_LIBS} m)
# Headers of others are not held to our warnings.
target_include_directories(coulis_dependencies SYSTEM INTERFACE "${COULIS_CARQUET_DIR}/include")
