"""HTML: pages, notebook fragments and reports, with their templates, styles and scripts."""
