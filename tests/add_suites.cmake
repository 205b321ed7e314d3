# Read by ctest, not by cmake: registers each suite of a GoogleTest program as one test, so that what
# its SetUpTestSuite makes is made once. Wants PROGRAM, NAME and PROPERTIES.
if(NOT EXISTS "${PROGRAM}")
  add_test(${NAME} ${PROGRAM})  # fails if it is to run: it was not built
  set_tests_properties(${NAME} PROPERTIES ${PROPERTIES})
  return()
endif()
execute_process(COMMAND ${PROGRAM} --gtest_list_tests
  OUTPUT_VARIABLE listing RESULT_VARIABLE failed TIMEOUT 60)
if(failed)
  message(FATAL_ERROR "${PROGRAM} does not list its tests: ${failed}")
endif()
string(REGEX MATCHALL "(^|\n)[A-Za-z_0-9/]+\\." suites "${listing}")
foreach(suite IN LISTS suites)
  string(REGEX REPLACE "[\n.]" "" suite "${suite}")
  add_test(${NAME}.${suite} ${PROGRAM} --gtest_filter=${suite}.*)
  set_tests_properties(${NAME}.${suite} PROPERTIES ${PROPERTIES})
endforeach()
