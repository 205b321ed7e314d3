# What shortens a build from nothing where GROUNDSWELL_BUILD_WHOLE is on. Elsewhere every file is compiled by
# itself, which shows what it forgot to include, and is the least to compile after an edit.

# The headers that most files of a library include, parsed once. None of ours: those change.
function(groundswell_precompile target)
  if(GROUNDSWELL_BUILD_WHOLE)
    target_precompile_headers(${target} PRIVATE <algorithm> <chrono> <functional> <memory> <optional> <string>
      <string_view> <utility> <vector> <fmt/format.h> <absl/container/flat_hash_map.h>
      <absl/status/statusor.h>)
  endif()
endfunction()

# All of a target as one file: for small sources on large headers.
function(groundswell_compile_together target)
  if(GROUNDSWELL_BUILD_WHOLE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
endfunction()

# A program whose sources read a command line: CLI11's templates cost more to compile than all else in them,
# and run once.
function(groundswell_command_line target)
  groundswell_compile_together(${target})
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()
