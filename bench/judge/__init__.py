"""What a result permits to say. Knows values alone: no files, no pictures.

intervals          what holds a median with 95 %
goals, table       one goal and how it is judged; all of them
claims             what may be published, or that it is undecided
comparison         two results beside each other
"""
