# The C test programs, and CTest's list: each program as c_NAME, and each group of ./run test under its own name.
enable_testing()

file(GLOB COULIS_TEST_SOURCES CONFIGURE_DEPENDS tests/c/test_*.c)
foreach(source ${COULIS_TEST_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE tests/c)
  target_link_libraries(${name} PRIVATE coulis_testing)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  string(REGEX REPLACE "^test_" "c_" test ${name})
  add_test(NAME ${test} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${test} PROPERTIES LABELS c)
endforeach()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64" AND NOT COULIS_SANITIZE) # whose runtime has an allocator of its own
  add_library(interpose MODULE tests/faults/interpose.c tests/faults/call_sites.c)
  # Its own unwinder needs no allocation to be loaded; counters of its own would be in the way.
  target_compile_options(interpose PRIVATE -fno-builtin -fno-profile-arcs -fno-test-coverage)
  target_link_options(interpose PRIVATE -static-libgcc)
  target_link_libraries(interpose PRIVATE coulis_options ${CMAKE_DL_LIBS})
  set_target_properties(interpose PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

# The groups work on what is in build/, with the Python that ./run build makes.
set(COULIS_TEST_PYTHON "${CMAKE_SOURCE_DIR}/.venv/bin/python")
if(CMAKE_BINARY_DIR STREQUAL "${CMAKE_SOURCE_DIR}/build" AND EXISTS "${COULIS_TEST_PYTHON}")
  file(GLOB files CONFIGURE_DEPENDS tests/python/test_*.py requirements/*.txt) # of which the list is made
  set(runner "${COULIS_TEST_PYTHON}" "${CMAKE_SOURCE_DIR}/tools/run_tests.py")
  execute_process(COMMAND ${runner} --list OUTPUT_VARIABLE groups OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "tools/run_tests.py --list failed: ${failed}")
  endif()
  string(REPLACE "\n" ";" groups "${groups}")
  foreach(group ${groups})
    add_test(NAME ${group} COMMAND ${runner} ${group} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${group} PROPERTIES LABELS group)
  endforeach()
  foreach(group emr wheel) # each makes the wheel in dist/ anew
    if(TEST ${group})
      set_tests_properties(${group} PROPERTIES RESOURCE_LOCK dist)
    endif()
  endforeach()
endif()
