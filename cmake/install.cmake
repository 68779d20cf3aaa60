include(GNUInstallDirs)
if(DEFINED SKBUILD)
  # A wheel: library, command, recipes, the default network and the graphs, inside the Python package; other
  # networks come with 'coulis models get'. A wheel cannot hold links, so the library goes without its version numbers.
  set_property(TARGET coulis PROPERTY VERSION)
  set_property(TARGET coulis PROPERTY SOVERSION)
  install(TARGETS coulis LIBRARY DESTINATION coulis)
  if(TARGET coulis_command)
    set_target_properties(coulis_command PROPERTIES INSTALL_RPATH "$ORIGIN/..")
    install(TARGETS coulis_command RUNTIME DESTINATION coulis/bin)
  endif()
  file(GLOB COULIS_MODEL_FILES CONFIGURE_DEPENDS models/*.toml
       build/models/efficientnet-lite0.safetensors build/models/*.graph.json)
  install(FILES ${COULIS_MODEL_FILES} DESTINATION coulis/models)
  # Those of the libraries that the wheel brings along; ./run wheel gathers them.
  file(GLOB COULIS_LICENCES CONFIGURE_DEPENDS LICENSE build/licences/*)
  install(FILES ${COULIS_LICENCES} DESTINATION "${SKBUILD_METADATA_DIR}/licenses")
else()
  install(TARGETS coulis LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  if(TARGET coulis_command)
    install(TARGETS coulis_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
  install(FILES include/coulis.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
