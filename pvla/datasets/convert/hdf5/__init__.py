"""HDF5 readers: robomimic, LIBERO, ALOHA and ARX, and what they share."""
