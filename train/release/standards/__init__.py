"""Records in the forms that others define: OSAID, MOF, Croissant, SBOM, REUSE."""
