#!/usr/bin/env bash
# All that touches nginx's structures is in nginx-module/nginx/: only there does a new version of nginx change code. To the
# other rooms a request, a configuration, a cycle and a zone are references that are handed on.
set -u
cd "$1" || exit 1
files=(nginx-module/*.cpp nginx-module/*.hpp nginx-module/{webhook,status,worker}/*.cpp nginx-module/{webhook,status,worker}/*.hpp)
handles=$(grep -ohE 'ngx_(http_request|conf|cycle|shm_zone)_t[&*]+ [a-z_]+' "${files[@]}" | sed 's/.* //' | sort -u | paste -sd '|')
found=$(grep -nE "\b($handles)(\.|->)[a-z_]+" "${files[@]}" | grep -v '#include')
# Structures that are no handles, nor nginx's words for a number or a text, nor what nginx is given once: module.cpp.
types=$(grep -noE 'ngx_[a-z0-9_]+_t\b' "${files[@]}" |
    grep -vE 'ngx_(http_request|conf|cycle|shm_zone|int|uint|msec|msec_int|str|log|pool|http_variable_value)_t$' |
    grep -vE 'ngx_(command|module|http_module)_t$')
if [ -n "$found$types" ]; then
    printf 'outside nginx-module/nginx/, and of a structure of nginx:\n%s\n%s\n' "$found" "$types"
    exit 1
fi
