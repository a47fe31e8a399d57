# Decides whether the CUDA module is built and says in one line why: sets ACTORMIMIC_WITH_CUDA and
# ACTORMIMIC_CUDA_ARCHITECTURES, unless that is given (90, say, for one kind of GPU alone). With AUTO
# nothing here can fail an install; with ON a missing or unfit compiler is an error.
set(ACTORMIMIC_WITH_CUDA OFF)

function(actormimic_without_cuda reason)
  if(ACTORMIMIC_CUDA STREQUAL "ON")
    message(FATAL_ERROR "ACTORMIMIC_CUDA is ON, but ${reason}")
  endif()
  message(STATUS "CUDA module: not built, ${reason}")
endfunction()

# The architectures of A100, H100/H200, B200 and the RTX 50 series that this nvcc knows; the newest
# of them also as PTX, which later devices compile for themselves.
function(actormimic_cuda_architectures result)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch
    OUTPUT_VARIABLE known ERROR_QUIET)
  set(chosen)
  foreach(architecture 80 90 100 120)
    if("${known}" MATCHES "compute_${architecture}[^0-9]")
      list(APPEND chosen ${architecture})
    endif()
  endforeach()
  if(chosen)
    list(POP_BACK chosen newest)
    list(TRANSFORM chosen APPEND "-real")
    list(APPEND chosen ${newest})
  endif()
  set(${result} ${chosen} PARENT_SCOPE)
endfunction()

# The launches go through cudaLaunchKernelEx, which older nvcc either lack or compile for C alone.
set(ACTORMIMIC_OLDEST_NVCC 12.0)

function(actormimic_nvcc_version result)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version
    OUTPUT_VARIABLE said ERROR_QUIET)
  string(REGEX MATCH "release ([0-9.]+)" found "${said}")
  set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

if(NOT ACTORMIMIC_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "ACTORMIMIC_CUDA is '${ACTORMIMIC_CUDA}'; allowed: AUTO, ON, OFF")
elseif(ACTORMIMIC_CUDA STREQUAL "OFF")
  message(STATUS "CUDA module: not built, ACTORMIMIC_CUDA is OFF")
elseif(NOT ACTORMIMIC_PYTHON)
  message(STATUS "CUDA module: not built, ACTORMIMIC_PYTHON is OFF")
else()
  # Tries the compiler in a project of its own: enable_language alone would end ours.
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    actormimic_nvcc_version(version)
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    actormimic_without_cuda("no working nvcc was found")
  elseif(version VERSION_LESS ACTORMIMIC_OLDEST_NVCC)
    actormimic_without_cuda("${CMAKE_CUDA_COMPILER} is of version ${version}; needed: \
${ACTORMIMIC_OLDEST_NVCC} or newer")
  else()
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    # A name of our own: CMake keeps a default of its choice in CMAKE_CUDA_ARCHITECTURES.
    if(NOT ACTORMIMIC_CUDA_ARCHITECTURES)
      actormimic_cuda_architectures(ACTORMIMIC_CUDA_ARCHITECTURES)
    endif()
    if(NOT ACTORMIMIC_CUDA_ARCHITECTURES)
      actormimic_without_cuda("${CMAKE_CUDA_COMPILER} knows none of sm_80, 90, 100 and 120")
    else()
      enable_language(CUDA)
      set(ACTORMIMIC_WITH_CUDA ON)
      message(STATUS "CUDA module: built with nvcc ${CMAKE_CUDA_COMPILER_VERSION} for "
        "architectures ${ACTORMIMIC_CUDA_ARCHITECTURES}")
    endif()
  endif()
endif()
