# What shortens a build from nothing where GROUNDSWELL_BUILD_WHOLE is on. Elsewhere every file is compiled by
# itself, which shows what it forgot to include, and is the least to compile after an edit.

# groundswell_common_headers(NAME LIBRARIES t... [OPTIONS o...] HEADERS h...)
# Headers that most files of several targets include, parsed once; groundswell_precompile(TARGET NAME) takes them
# for a target of the same options, above all those of arithmetic: GCC takes over the ones they were made with. None
# of ours: those change.
function(groundswell_common_headers name)
  cmake_parse_arguments(T "" "" "LIBRARIES;OPTIONS;HEADERS" ${ARGN})
  if(GROUNDSWELL_BUILD_WHOLE)
    # GCC takes them only where the macros are the same: those that come with these libraries, and with -pthread.
    add_library(${name}_libraries INTERFACE)
    target_compile_options(${name}_libraries INTERFACE -pthread)
    target_link_libraries(${name}_libraries INTERFACE ${T_LIBRARIES})
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc CONTENT "")
    add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc)
    target_link_libraries(${name} PRIVATE groundswell_warnings ${name}_libraries)
    target_compile_options(${name} PRIVATE ${T_OPTIONS})
    target_precompile_headers(${name} PRIVATE ${T_HEADERS})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      # Without the time in them, ccache knows them again.
      target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    endif()
  endif()
endfunction()
function(groundswell_precompile target name)
  if(TARGET ${name})
    target_link_libraries(${target} PRIVATE ${name}_libraries)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

set(common_headers <algorithm> <chrono> <functional> <memory> <optional> <string> <string_view> <utility> <vector>
  <fmt/format.h> <absl/container/flat_hash_map.h> <absl/status/statusor.h>)
set(common_libraries absl::flat_hash_map absl::statusor fmt::fmt)
groundswell_common_headers(groundswell_library_headers LIBRARIES ${common_libraries} HEADERS ${common_headers})

# What loops over vectors and rows: with GROUNDSWELL_COMPUTE_OPTIONS where the rest is not optimised at all,
# as under the sanitizers, whose optimised code takes the compiler twice as long.
function(groundswell_compile_to_compute target)
  if(GROUNDSWELL_COMPUTE_OPTIONS)
    target_compile_options(${target} PRIVATE ${GROUNDSWELL_COMPUTE_OPTIONS})
  else()
    groundswell_precompile(${target} groundswell_library_headers)
  endif()
endfunction()

# groundswell_compile_together(TARGET [BATCH n] [APART source...])
# Its sources, n at a time as one file (10; 0: all of them): most of what compiling one costs is the headers
# that the next one includes too. So no two of a target may define the same name, be it in unnamed
# namespaces. APART: these by themselves, for speed that is measured or rounding that is tested.
function(groundswell_compile_together target)
  cmake_parse_arguments(T "" "BATCH" "APART" ${ARGN})
  if(NOT DEFINED T_BATCH)
    set(T_BATCH 10)
  endif()
  if(GROUNDSWELL_BUILD_WHOLE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${T_BATCH})
    if(T_APART)
      set_source_files_properties(${T_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endif()
endfunction()

# A program or a library whose sources read a command line: CLI11's templates cost more to compile than all else in
# them, and run once.
function(groundswell_command_line target)
  groundswell_compile_together(${target} BATCH 0)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()
