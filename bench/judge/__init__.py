"""What a result permits to say. Knows values alone: no files, no pictures.

goals              the ratios that the service has to reach
claims             what may be published, or that it is undecided
comparison         two results beside each other
"""
