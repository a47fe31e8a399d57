# Settings shared by every target of csrc/.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
find_package(Threads REQUIRED)

if(ACTORMIMIC_SANITIZE)
  if(NOT ACTORMIMIC_SANITIZE MATCHES "^(thread|address|undefined|address,undefined)$")
    message(FATAL_ERROR
      "ACTORMIMIC_SANITIZE is '${ACTORMIMIC_SANITIZE}'; allowed: thread, address, undefined, "
      "address,undefined")
  endif()
  # Half of -O3's time goes into code that a sanitizer slows down anyway, and its reports then name
  # lines that no longer exist.
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
  # Without no-sanitize-recover a finding of "undefined" is a line of output and no failure.
  add_compile_options(-fsanitize=${ACTORMIMIC_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${ACTORMIMIC_SANITIZE})
endif()

# One floor of csrc/: a static library actormimic_<name> whose includes are written <floor>/<file>,
# but for those of installed headers (InstallCore.cmake).
function(actormimic_floor name)
  add_library(actormimic_${name} STATIC ${ARGN})
  target_include_directories(actormimic_${name} PUBLIC ${PROJECT_SOURCE_DIR}/csrc)
  target_compile_options(actormimic_${name} PRIVATE -Wall -Wextra -fvisibility=hidden)
endfunction()
