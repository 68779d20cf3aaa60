include(GNUInstallDirs)
if(DEFINED SKBUILD)
  # A wheel: library, command, recipes, the default network and the graphs, inside the Python package; other
  # networks come with 'coulis models get'. A wheel cannot hold links, so the library goes without its version numbers.
  set_property(TARGET coulis PROPERTY VERSION)
  set_property(TARGET coulis PROPERTY SOVERSION)
  install(TARGETS coulis LIBRARY DESTINATION coulis)
  if(COULIS_S3)
    install(TARGETS coulis_s3 LIBRARY DESTINATION coulis)
  endif()
  if(TARGET coulis_command)
    set_target_properties(coulis_command PROPERTIES INSTALL_RPATH "${COULIS_ORIGIN}/..")
    install(TARGETS coulis_command RUNTIME DESTINATION coulis/bin)
  endif()
  file(GLOB COULIS_MODEL_FILES CONFIGURE_DEPENDS models/*.json
       build/models/efficientnet-lite0.safetensors build/models/*.graph.json)
  install(FILES ${COULIS_MODEL_FILES} DESTINATION coulis/models)
  # Those of the libraries that the wheel brings along, and the list of them for programs; ./run wheel gathers them.
  file(GLOB COULIS_LICENCES CONFIGURE_DEPENDS build/licences/*.txt)
  install(FILES ${COULIS_LICENCES} DESTINATION "${SKBUILD_METADATA_DIR}/licenses")
  install(FILES build/licences/coulis.cdx.json DESTINATION "${SKBUILD_METADATA_DIR}/sboms" OPTIONAL)
else()
  # ninja install, or cmake --install, after the targets `all` and `coulis_install` are built. Everything can be moved
  # together: files find each other relative to where they are.
  add_custom_target(coulis_install DEPENDS coulis coulis_s3 coulis_static coulis_command coulis_pages)
  if(COULIS_S3)
    install(TARGETS coulis_s3 LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
  install(TARGETS coulis coulis_static LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS coulis_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES include/coulis.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

  # What a program that links the static library needs; the shared libraries named here know what they need themselves.
  set(COULIS_NEEDS ${COULIS_PKG_LDFLAGS} ${COULIS_JSON_LDFLAGS} ${COULIS_LAPACK_NEEDS} -ljpeg -lz -lzstd -llz4 -lm
    -pthread)
  list(REMOVE_DUPLICATES COULIS_NEEDS)
  list(JOIN COULIS_NEEDS " " COULIS_NEEDS_TEXT)
  file(RELATIVE_PATH COULIS_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  file(RELATIVE_PATH COULIS_CMAKE_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/cmake/coulis" "/")
  configure_file(cmake/coulis.pc.in "${CMAKE_BINARY_DIR}/coulis.pc" @ONLY)
  configure_file(cmake/coulisConfig.cmake.in "${CMAKE_BINARY_DIR}/coulisConfig.cmake" @ONLY)
  include(CMakePackageConfigHelpers)
  write_basic_package_version_file("${CMAKE_BINARY_DIR}/coulisConfigVersion.cmake"
    VERSION ${PROJECT_VERSION} COMPATIBILITY SameMajorVersion)
  install(FILES "${CMAKE_BINARY_DIR}/coulis.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  install(FILES "${CMAKE_BINARY_DIR}/coulisConfig.cmake" "${CMAKE_BINARY_DIR}/coulisConfigVersion.cmake"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/coulis)

  install(FILES "${COULIS_PAGES}/coulis.1" DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES "${COULIS_PAGES}/coulis.bash" RENAME coulis
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES "${COULIS_PAGES}/_coulis" DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES "${COULIS_PAGES}/coulis.fish" DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
  # Recipes, and the networks that ./run build has converted.
  file(GLOB COULIS_MODEL_FILES CONFIGURE_DEPENDS models/*.json build/models/*.safetensors build/models/*.graph.json)
  install(FILES ${COULIS_MODEL_FILES} DESTINATION ${CMAKE_INSTALL_DATADIR}/coulis/models)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
