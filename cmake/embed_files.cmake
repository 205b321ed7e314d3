# Makes a C++ source of the files of a directory, for programs that serve them without it.
#
#   cmake -D DIRECTORY=console/dist -D OUTPUT=console_files.cc -P embed_files.cmake
#
# The source defines ConsoleFiles() of server/rpc/console_pages.h. Files in sub-directories are left out.
file(GLOB files LIST_DIRECTORIES false RELATIVE ${DIRECTORY} ${DIRECTORY}/*)
list(SORT files)
if(NOT files)
  message(FATAL_ERROR "${DIRECTORY} has no files")
endif()
set(arrays "")
set(entries "")
set(number 0)
foreach(name IN LISTS files)
  file(READ ${DIRECTORY}/${name} bytes HEX)
  # As characters: a string_view of them needs no cast.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
  string(APPEND arrays "constexpr char kConsoleFile${number}[] = {${bytes}};\n")
  string(APPEND entries "    {\"${name}\", {kConsoleFile${number}, sizeof(kConsoleFile${number})}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Made of console/dist by cmake/embed_files.cmake.
#include \"server/rpc/console_pages.h\"

namespace groundswell {
namespace {

${arrays}
constexpr ConsoleFile kConsoleFiles[] = {
${entries}};

}  // namespace

std::span<const ConsoleFile> ConsoleFiles() { return kConsoleFiles; }

}  // namespace groundswell
")
