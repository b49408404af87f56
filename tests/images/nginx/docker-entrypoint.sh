#!/usr/bin/env bash
# Renders the templates, runs the scripts beside it, then becomes nginx.
set -euo pipefail

# Only variables that exist are replaced, so that nginx's own $host and its like stay.
render_templates() {
    local source=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
    local suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
    local target=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
    [[ -d $source ]] || return 0
    local known template name
    known=$(compgen -e | sed 's/.*/${&}/')
    while IFS= read -r template; do
        name=${template#"$source"/}
        mkdir -p "$target/$(dirname "$name")"
        envsubst "$known" < "$template" > "$target/${name%"$suffix"}"
    done < <(find -L "$source" -type f -name "*$suffix" | sort)
}

run_scripts() {
    local script
    for script in /docker-entrypoint.d/*.sh; do
        [[ ! -x $script ]] || "$script"
    done
}

if [[ ${1:-} == nginx || ${1:-} == nginx-debug ]]; then
    render_templates
    run_scripts
fi
exec "$@"
