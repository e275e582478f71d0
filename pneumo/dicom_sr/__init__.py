"""A prediction as a DICOM structured report, which an archive keeps beside the film that it is of."""
