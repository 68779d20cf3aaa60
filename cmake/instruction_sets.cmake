# A kernel is written once over a vector-width macro and compiled once per instruction
# set: files named avx2.c, avx512.c, avx512_bf16.c, avx512_vnni.c and neon.c get the flags of theirs, and are left out for
# other processors. Which one runs is decided in src/cpu, at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(FILTER COULIS_SOURCES EXCLUDE REGEX "/neon\\.c$")
  set(avx512 "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;-mprefer-vector-width=512")
  foreach(source ${COULIS_SOURCES})
    if(source MATCHES "/avx2\\.c$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
    elseif(source MATCHES "/avx512\\.c$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
        "${avx512}")
    elseif(source MATCHES "/avx512_bf16\\.c$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${avx512};-mavx512bf16")
    elseif(source MATCHES "/avx512_vnni\\.c$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${avx512};-mavx512vnni")
    endif()
  endforeach()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(FILTER COULIS_SOURCES EXCLUDE REGEX "/(avx2|avx512|avx512_bf16|avx512_vnni)\\.c$")
else()
  list(FILTER COULIS_SOURCES EXCLUDE REGEX "/(neon|avx2|avx512|avx512_bf16|avx512_vnni)\\.c$")
endif()
