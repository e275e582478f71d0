"""The figures of the report, as SVG that reads on a phone, on a desk and on paper."""
