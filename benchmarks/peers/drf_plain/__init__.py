"""Django REST framework as its tutorial has it: a ModelSerializer and a ModelViewSet, served by gunicorn."""
