# runledger_room(<folder> SOURCES <file>… [HEADERS <file>…] [USES <folder>…] [LIBRARIES <target>…] [PRIVATE <target>…])
#
# A folder of the product is a room: one static library, runledger::<folder with _ for / and ->. A room's files can
# include the headers of its own folder and of the folders that it USES (and of those that these use), and no others:
# the include path holds links to these folders alone. So an include that runs upwards does not compile.
#   HEADERS    the headers that other rooms may include, where not all of the folder's are (a folder that has rooms in it)
#   LIBRARIES  what the room's headers need; PRIVATE: what its sources need
# The targets must exist when a room uses them, so there can be no ring. The target `rooms` prints who may use whom.
function(runledger_room folder)
    cmake_parse_arguments(PARSE_ARGV 1 ROOM "" "" "SOURCES;HEADERS;USES;LIBRARIES;PRIVATE")
    string(REGEX REPLACE "[/-]" "_" name ${folder})
    set(target runledger_${name})
    set(view ${CMAKE_BINARY_DIR}/rooms/${name})
    if(ROOM_HEADERS)
        file(MAKE_DIRECTORY ${view}/${folder})
        foreach(header IN LISTS ROOM_HEADERS)
            file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder}/${header} ${view}/${folder}/${header} SYMBOLIC)
        endforeach()
    else()
        cmake_path(GET folder PARENT_PATH parent)
        file(MAKE_DIRECTORY ${view}/${parent})
        file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${view}/${folder} SYMBOLIC)
    endif()

    list(TRANSFORM ROOM_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/${folder}/)
    add_library(${target} STATIC ${ROOM_SOURCES})
    add_library(runledger::${name} ALIAS ${target})
    target_include_directories(${target} PUBLIC ${view})
    foreach(used IN LISTS ROOM_USES)
        string(REGEX REPLACE "[/-]" "_" used_name ${used})
        if(NOT TARGET runledger_${used_name})
            message(FATAL_ERROR "${folder} uses ${used}, which is no room below it")
        endif()
        target_link_libraries(${target} PUBLIC runledger_${used_name})
    endforeach()
    target_link_libraries(${target} PUBLIC ${ROOM_LIBRARIES} PRIVATE ${ROOM_PRIVATE})
    list(JOIN ROOM_USES " " uses)
    set_property(GLOBAL APPEND PROPERTY RUNLEDGER_ROOMS "${folder} <- ${uses}")
endfunction()

# Called last: the target `rooms`, and rooms.txt in the build tree.
function(runledger_list_rooms)
    get_property(rooms GLOBAL PROPERTY RUNLEDGER_ROOMS)
    list(JOIN rooms "\n" text)
    file(WRITE ${CMAKE_BINARY_DIR}/rooms.txt "${text}\n")
    add_custom_target(rooms COMMAND ${CMAKE_COMMAND} -E cat ${CMAKE_BINARY_DIR}/rooms.txt VERBATIM)
endfunction()
