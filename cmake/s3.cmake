# libcoulis_s3.so, which speaks with S3: on AWS's C libraries (cmake/aws builds them) and OpenSSL. libcoulis.so loads it
# when it is needed, so that nothing else needs either.
set(COULIS_S3 auto CACHE STRING "Build what reads and writes s3://: ON, OFF, or auto (if AWS's libraries are there)")
set(COULIS_AWS_DIR "${CMAKE_SOURCE_DIR}/build/deps/aws-0.38.0" CACHE PATH
  "where AWS's C libraries are installed, which ./run build makes")
if(COULIS_S3 STREQUAL auto AND (NOT EXISTS "${COULIS_AWS_DIR}/lib/cmake" OR COULIS_SANITIZE OR COULIS_FUZZ OR
    CMAKE_CROSSCOMPILING))
  set(COULIS_S3 OFF)
  message(STATUS "s3:// is left out")
endif()
if(COULIS_S3)
  list(PREPEND CMAKE_PREFIX_PATH "${COULIS_AWS_DIR}")
  list(APPEND CMAKE_FIND_ROOT_PATH "${COULIS_AWS_DIR}") # beside the sysroot of another processor
  find_package(aws-c-s3 REQUIRED)
  file(GLOB COULIS_S3_SOURCES CONFIGURE_DEPENDS src/s3/*.c)
  # A few of the library's own files are in both, as it shows none of their names.
  add_library(coulis_s3 MODULE ${COULIS_S3_SOURCES} src/base/error.c src/base/memory.c src/base/text.c
    src/base/disk.c src/base/files.c src/base/sha256.c src/base/sync.c src/remote/fetch.c)
  target_include_directories(coulis_s3 PRIVATE include src)
  target_include_directories(coulis_s3 SYSTEM PRIVATE "${COULIS_AWS_DIR}/include")
  target_link_libraries(coulis_s3 PRIVATE coulis_options AWS::aws-c-s3 Threads::Threads)
  set_target_properties(coulis_s3 PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  target_link_options(coulis_s3 PRIVATE ${COULIS_HIDE} ${COULIS_DROP})
else()
  add_custom_target(coulis_s3) # what asks for it by name gets nothing
endif()
