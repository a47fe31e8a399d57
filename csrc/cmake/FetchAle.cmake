# ALE's C++ sources, compiled with the project: the target actormimic_ale.
#
# They come from the sdist of the ale-py that pyproject.toml pins, through pip, so that the user's
# index settings hold and a wheelhouse serves offline (PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR). A folder
# given as ACTORMIMIC_ALE_SOURCE comes first.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)

set(ale_source "${ACTORMIMIC_ALE_SOURCE}")
if(NOT ale_source)
  set(ale_download "${CMAKE_BINARY_DIR}/ale")
  set(ale_source "${ale_download}/ale_py-${ACTORMIMIC_ALE_VERSION}")
  if(NOT EXISTS "${ale_source}/version.txt")
    message(STATUS "Fetching the sources of ale-py ${ACTORMIMIC_ALE_VERSION} through pip")
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -m pip download --quiet --no-deps --no-build-isolation
              --no-binary ale-py "ale-py==${ACTORMIMIC_ALE_VERSION}" -d "${ale_download}"
      RESULT_VARIABLE ale_result ERROR_VARIABLE ale_error OUTPUT_VARIABLE ale_error)
    file(GLOB ale_archive "${ale_download}/ale_py-${ACTORMIMIC_ALE_VERSION}.tar.gz")
    if(NOT ale_result EQUAL 0 OR NOT ale_archive)
      message(FATAL_ERROR
        "pip could not fetch the sources of ale-py ${ACTORMIMIC_ALE_VERSION}:\n${ale_error}\n"
        "Give their folder with -DACTORMIMIC_ALE_SOURCE=DIR, or a folder that holds the sdist with "
        "PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR.")
    endif()
    file(ARCHIVE_EXTRACT INPUT "${ale_archive}" DESTINATION "${ale_download}")
  endif()
endif()
if(NOT EXISTS "${ale_source}/version.txt")
  message(FATAL_ERROR "ACTORMIMIC_ALE_SOURCE is '${ale_source}': no version.txt of ALE there")
endif()
file(READ "${ale_source}/version.txt" ale_version)
string(STRIP "${ale_version}" ale_version)
if(NOT ale_version STREQUAL ACTORMIMIC_ALE_VERSION)
  message(FATAL_ERROR
    "ALE in ${ale_source} is ${ale_version}; this project needs ${ACTORMIMIC_ALE_VERSION}")
endif()

set(BUILD_PYTHON_LIB OFF CACHE BOOL "" FORCE)
set(BUILD_CPP_LIB ON CACHE BOOL "" FORCE)
set(SDL_SUPPORT OFF CACHE BOOL "" FORCE)
set(BUILD_SHARED_LIBS OFF)
add_subdirectory("${ale_source}" "${CMAKE_BINARY_DIR}/ale-build" EXCLUDE_FROM_ALL)
# ALE asks for link-time optimization, whose archives only the compiler that made them can read. The
# library that we install must link anywhere.
set_target_properties(ale ale-lib PROPERTIES INTERPROCEDURAL_OPTIMIZATION ${ACTORMIMIC_ALE_LTO})
# ALE reads beyond a table in decimal mode, and leaves the order of some reads to the compiler, which
# the instrumentation changes; what our emulation is compared with must stay as it is.
if(ACTORMIMIC_SANITIZE MATCHES "undefined")
  target_compile_options(ale PRIVATE -fno-sanitize=undefined)
endif()
# The rules of a hundred games and two dozen kinds of cartridges are small files behind the same
# headers, most of whose compile time is the headers'; a few together take a fraction of it.
get_target_property(ale_files ale SOURCES)
# Ours takes the place of ALE's.
list(FILTER ale_files EXCLUDE REGEX "environment/phosphor_blend.cpp$")
list(APPEND ale_files "${CMAKE_CURRENT_LIST_DIR}/../emulator/phosphor_blend.cpp")
set_target_properties(ale PROPERTIES SOURCES "${ale_files}")
foreach(file IN LISTS ale_files)
  if(NOT file MATCHES "games/supported/|emucore/Cart")
    set_source_files_properties("${file}" TARGET_DIRECTORY ale PROPERTIES
      SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endforeach()
set_target_properties(ale PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 32)
# Headers are written <ale/...>; version.hpp is generated into the binary folder. SYSTEM, because
# the warnings of another project are not ours to fix.
add_library(actormimic_ale INTERFACE)
target_link_libraries(actormimic_ale INTERFACE ale-lib)
target_include_directories(actormimic_ale SYSTEM INTERFACE
  "${ale_source}/src" "${ale_source}/src/ale" "${CMAKE_BINARY_DIR}/ale-build/src/ale")
set(ACTORMIMIC_ALE_ROMS "${ale_source}/src/ale/python/roms")
